"""A peer in the manner of SetFit (Tunstall et al. 2022): a sentence encoder is fine-tuned so that texts of one label
lie together, then frozen below a logistic regression. Its own package does not run on recent transformers.

All pairs of a batch count, which teaches more a second than pairs drawn one by one; the batch holds two texts of each
of its labels. The time goes into fine-tuning, but for what encoding all texts is expected to take.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final

import numpy as np
import torch
from sklearn.linear_model import LogisticRegression
from transformers import AutoModel, AutoTokenizer

LENGTH_MAX: Final = 128
"""As in Aias."""

BATCH: Final = 32
RATE: Final = 5e-5
WARM_SHARE: Final = 0.1
EPOCHS_MAX: Final = 4
STEPS_MIN: Final = 100
"""However few texts there are: with 8 of each of six labels 90 are better than 30, and 30 than 6."""
HEAD_SHARE: Final = 0.1
ENCODED_TRIED: Final = 256
ENCODED_SHARE_MAX: Final = 0.5
"""Of the time that encoding may take: of more texts the head is fitted on some, and answering test rows is not counted,
which is in the peer's favour."""


class SetFit:
    """`predict` gives labels."""

    def __init__(self, folder: str, *, seed: int, clock: Callable[[], float] = time.perf_counter) -> None:
        torch.manual_seed(seed)
        self.clock = clock
        self.rng = np.random.default_rng(seed)
        self.tokenizer = AutoTokenizer.from_pretrained(folder)
        self.encoder = AutoModel.from_pretrained(folder)
        self.head: Any = LogisticRegression(C=10, max_iter=1_000)

    def fit(self, texts: Sequence[str], labels: Sequence[str], *, test_rows: int, seconds: float) -> None:
        """`seconds`: for all, `test_rows` answers included."""
        ends_at = self.clock() + seconds
        began = self.clock()
        some = self.rng.integers(0, len(texts), ENCODED_TRIED)
        self.encoded([texts[i] for i in some])
        each = (self.clock() - began) / ENCODED_TRIED
        if each * (len(texts) + test_rows) > ENCODED_SHARE_MAX * seconds:  # as many as there is time for; no test row
            kept = self.rng.permutation(len(texts))[: int(ENCODED_SHARE_MAX * seconds / each)]
            texts, labels, test_rows = [texts[i] for i in kept], [labels[i] for i in kept], 0
        self._tune(texts, np.array(labels), ends_at - each * (len(texts) + test_rows) - HEAD_SHARE * seconds)
        self.head.fit(self.encoded(texts), labels)

    def predict(self, texts: Sequence[str]) -> Any:
        return self.head.predict(self.encoded(texts))

    @torch.no_grad()
    def encoded(self, texts: Sequence[str]) -> Any:
        """By length, so that little padding is computed."""
        self.encoder.eval()
        order = np.argsort([len(text) for text in texts], kind="stable")
        parts = [self._vectors([texts[i] for i in order[at : at + BATCH]]) for at in range(0, len(order), BATCH)]
        return torch.cat(parts).numpy()[np.argsort(order, kind="stable")]

    def _tune(self, texts: Sequence[str], labels: Any, ends_at: float) -> None:
        """AdamW whose rate falls to nothing as the time runs out."""
        began, steps_max = self.clock(), max(EPOCHS_MAX * len(texts) // BATCH, STEPS_MIN)
        optimizer = torch.optim.AdamW(self.encoder.parameters(), lr=RATE, weight_decay=0.01)
        for step, rows in enumerate(self._batches(labels)):
            passed = max((self.clock() - began) / max(ends_at - began, 1e-9), step / steps_max)
            if passed >= 1:
                return
            optimizer.param_groups[0]["lr"] = RATE * min(1, passed / WARM_SHARE, (1 - passed) / (1 - WARM_SHARE))
            self.encoder.train()
            vectors = self._vectors([texts[i] for i in rows])
            same = torch.from_numpy(labels[rows][:, None] == labels[rows])
            above = torch.triu(torch.ones_like(same), 1).bool()
            alike, apart = (vectors @ vectors.T)[above & same], (vectors @ vectors.T)[above & ~same]
            loss = ((alike - 1) ** 2).mean() + (torch.relu(apart) ** 2).mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()

    def _batches(self, labels: Any) -> Iterator[Any]:
        """Two texts or more of each of up to 16 labels."""
        places = [np.flatnonzero(labels == label) for label in np.unique(labels)]
        while True:
            chosen = self.rng.permutation(len(places))[: BATCH // 2]
            yield np.concatenate([self.rng.choice(places[i], BATCH // len(chosen)) for i in chosen])

    def _vectors(self, texts: list[str]) -> torch.Tensor:
        held = self.tokenizer(texts, padding=True, truncation=True, max_length=LENGTH_MAX, return_tensors="pt")
        hidden = self.encoder(**held).last_hidden_state
        mask = held["attention_mask"][:, :, None]
        return torch.nn.functional.normalize((hidden * mask).sum(1) / mask.sum(1), dim=1)
