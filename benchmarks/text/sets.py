"""The data sets: texts and labels, split as their authors did; where they did not, a fifth drawn with a fixed seed.

Texts that are the same but for case, spaces and marks stand on one side of a drawn split, or the test would hold what
was learned by heart. A split that was given is left as it is, so that figures compare with those of others.
"""

import io
import re
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import polars as pl

TEST_SHARE: Final = 0.2
SEED: Final = 0

Read = Callable[[Path], tuple[pl.DataFrame, pl.DataFrame]]


@dataclass(frozen=True, slots=True)
class Set:
    """`read` gives train and test with the columns `text` and `label`. `unsegmented`: written without spaces."""

    name: str
    read: Read
    unsegmented: bool = False


def _banking77(data: Path) -> tuple[pl.DataFrame, pl.DataFrame]:
    train, test = (pl.read_csv(data / "banking77" / f"{part}.csv") for part in ("train", "test"))
    return train.rename({"category": "label"}), test.rename({"category": "label"})


def _lines(folder: str, train: str, test: str) -> Read:
    """`<label> <text>` on each line, in Latin-1 where it is not UTF-8."""

    def read(data: Path) -> tuple[pl.DataFrame, pl.DataFrame]:
        return _parsed(data / folder / train), _parsed(data / folder / test)

    return read


def _parsed(path: Path) -> pl.DataFrame:
    held = path.read_bytes()
    try:
        text = held.decode()
    except UnicodeDecodeError:
        text = held.decode("latin-1")
    pairs = [line.split(" ", 1) for line in text.splitlines() if " " in line]
    return pl.DataFrame({"text": [text for _, text in pairs], "label": [label for label, _ in pairs]})


def _waimai(data: Path) -> tuple[pl.DataFrame, pl.DataFrame]:
    frame = pl.read_csv(data / "waimai_10k" / "waimai_10k.csv")
    return _drawn(frame.select(text="review", label=pl.col("label").cast(pl.String)))


def _online_shopping(data: Path) -> tuple[pl.DataFrame, pl.DataFrame]:
    """What a review is of, from the review alone."""
    with zipfile.ZipFile(data / "online_shopping_10cats" / "online_shopping_10_cats.zip") as held:
        frame = pl.read_csv(io.BytesIO(held.read("online_shopping_10_cats.csv")))
    return _drawn(frame.select(text="review", label="cat").drop_nulls())


def _drawn(frame: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    alike = pl.Series([re.sub(r"[\W_]+", "", text).casefold() for text in frame["text"]])
    group: Any = alike.rank("dense").to_numpy().astype(int) - 1
    order = np.random.default_rng(SEED).permutation(alike.n_unique())
    is_test = np.isin(group, order[: round(len(order) * TEST_SHARE)])
    return frame.filter(~is_test), frame.filter(is_test)


SETS: Final = {
    one.name: one
    for one in (
        Set("banking77", _banking77),
        Set("trec6_questions", _lines("trec6_questions", "TREC.train.all", "TREC.test.all")),
        Set("sst2_sentences", _lines("sst2_sentences", "stsa.binary.train", "stsa.binary.test")),
        Set("waimai_10k", _waimai, unsegmented=True),
        Set("online_shopping_10cats", _online_shopping, unsegmented=True),
    )
}
