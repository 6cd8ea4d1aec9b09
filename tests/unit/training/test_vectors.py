"""`training/vectors.py`: what was read stays, within bounds, and nothing broken is believed."""

import os
from pathlib import Path

import numpy as np

from aias.graph.sentences import Texts
from aias.training.vectors import KeptVectors


def texts(*first: int) -> Texts:
    """Of three tokens each, padded with a fourth."""
    tokens = np.array([[each, 2, 3, 0] for each in first], np.int64)
    return Texts(tokens, np.arange(4) < np.full((len(first), 1), 3), np.zeros((0, 1), np.int64))


def vectors(*first: int) -> np.ndarray:
    return np.array([[each, -each] for each in first], np.float32)


def test_a_text_is_known_by_its_tokens_however_it_is_padded(tmp_path: Path) -> None:
    kept = KeptVectors(tmp_path, "sha256:a")
    kept.keep(texts(1, 2), vectors(1, 2))
    kept.keep(texts(3), vectors(3))

    places, found = kept.known(texts(9, 3, 1).part(slice(None)))

    assert places.tolist() == [1, 2]
    np.testing.assert_array_equal(found, vectors(3, 1))
    assert KeptVectors(tmp_path, "sha256:b").known(texts(1))[0].tolist() == []


def test_a_broken_file_is_removed_and_its_texts_are_read_again(tmp_path: Path) -> None:
    kept = KeptVectors(tmp_path, "sha256:a")
    kept.keep(texts(1), vectors(1))
    (path,) = tmp_path.glob("*/*.npz")
    path.write_bytes(path.read_bytes()[:-30])

    assert kept.known(texts(1))[0].tolist() == []
    assert not path.exists()


def test_what_was_not_used_for_longest_goes_first(tmp_path: Path) -> None:
    kept = KeptVectors(tmp_path, "sha256:a")
    for at in (1, 2, 3):
        kept.keep(texts(at), vectors(at))
    for at, path in enumerate(sorted(tmp_path.glob("*/*.npz"))):
        os.utime(path, (at, at))
    kept.known(texts(1))  # used now
    size = next(tmp_path.glob("*/*.npz")).stat().st_size

    KeptVectors(tmp_path, "sha256:b", bytes_max=2 * size).keep(texts(4), vectors(4))

    assert kept.known(texts(1))[0].tolist() == [0]
    assert len(list(tmp_path.glob("*/*.npz"))) == 2
