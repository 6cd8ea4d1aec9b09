"""Vectors of texts that a sentence encoder has read, kept for whoever reads the same texts again.

<home>/work/.vectors/<graph>/<digest>.npz     keys (texts, 16) uint8, vectors (texts, width) float32

`graph`: a digest of the encoder's graph, tokenizer aside; a text's key is a digest of its tokens. So neither the
model's name nor its rows matter: training under another name, `optimize` and `compress` find what was read before.
"""

import contextlib
import hashlib
import os
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from aias.core.arrays import Ints
from aias.graph.sentences import Texts, Vectors

BYTES_MAX: Final = 1 << 30
"""Of all encoders: 700,000 texts of 384 numbers. What was not used for longest goes first."""

KEY_BYTES: Final = 16

Keys = npt.NDArray[np.uint8]  # (texts, 16)


class KeptVectors:
    """`graph`: the digest of all that decides which vector some tokens get. Safe to use from several processes."""

    def __init__(self, folder: Path, graph: str, *, bytes_max: int = BYTES_MAX) -> None:
        self._all, self._own = folder, folder / graph.removeprefix("sha256:")[:32]
        self._bytes_max = bytes_max

    def known(self, texts: Texts) -> tuple[Ints, Vectors]:
        """Which of the texts are known, by their places, and their vectors, (known texts, width)."""
        places = {bytes(key): place for place, key in enumerate(keys_of(texts))}
        found: dict[int, Vectors] = {}
        for path in self._files():
            found |= _matching(path, places)
        there = sorted(found)
        vectors = np.stack([found[place] for place in there]) if there else np.zeros((0, 0), np.float32)
        return np.array(there, np.int64), vectors

    def keep(self, texts: Texts, vectors: Vectors) -> None:
        """Written beside and renamed; the same texts are the same file."""
        keys = keys_of(texts)
        name = hashlib.sha256(keys.tobytes()).hexdigest()[:32]
        self._own.mkdir(parents=True, exist_ok=True)
        beside = self._own / f".{name}.{os.getpid()}"
        with beside.open("wb") as file:
            np.savez(file, allow_pickle=False, keys=keys, vectors=np.asarray(vectors, np.float32))
        beside.rename(self._own / f"{name}.npz")
        self._make_room()

    def _files(self) -> list[Path]:
        return sorted(self._own.glob("*.npz"))

    def _make_room(self) -> None:
        held = []
        for path in self._all.glob("*/*.npz"):
            with contextlib.suppress(FileNotFoundError):  # another process was faster
                status = path.stat()
                held.append((status.st_mtime, status.st_size, path))
        total = sum(size for _, size, _ in held)
        for _, size, path in sorted(held):
            if total <= self._bytes_max:
                return
            path.unlink(missing_ok=True)
            total -= size


def keys_of(texts: Texts) -> Keys:
    """A digest of each text's tokens; what it is padded with does not matter."""
    lengths = texts.mask.sum(axis=1).tolist()
    digests = [
        hashlib.blake2b(np.ascontiguousarray(tokens[:length]).tobytes(), digest_size=KEY_BYTES).digest()
        for tokens, length in zip(texts.tokens, lengths, strict=True)
    ]
    return np.frombuffer(b"".join(digests), np.uint8).reshape(-1, KEY_BYTES)


def _matching(path: Path, places: Mapping[bytes, int]) -> dict[int, Vectors]:
    """What a file knows of these texts; one that is broken is removed."""
    try:
        with np.load(path, allow_pickle=False) as held:
            here = {at: places[key] for at, key in enumerate(map(bytes, held["keys"])) if key in places}
            if not here:
                return {}
            vectors = held["vectors"]
            found = {place: vectors[at] for at, place in here.items()}
        os.utime(path)
    except FileNotFoundError:  # another process made room
        return {}
    except (OSError, EOFError, ValueError, KeyError, IndexError, zipfile.BadZipFile):
        path.unlink(missing_ok=True)
        return {}
    return found
