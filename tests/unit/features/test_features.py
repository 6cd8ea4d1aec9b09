"""What a feature projects is what its matrix times the weights would be."""

from dataclasses import replace

import numpy as np
import pytest

from aias.core.catalog import member, members
from aias.core.schema import Field
from aias.encoders.rows import RowEncoder

FIELDS = (Field("age", "number"), Field("job", "category"), Field("fare", "number"), Field("note", "text"),
          Field("title", "text"))  # fmt: skip
NOTES = ["free entry to win", "see you at home", "win a free home", "", "entrance fees", "seeing you there"] * 8
VALUES = {
    "age": [39.0, None, 21.5, float("inf"), -3.0, 7.0] * 8, "job": ["a", "b", None, "a", "c", "b"] * 8,
    "fare": [5.0] * 48, "note": NOTES, "title": list(reversed(NOTES)),
}  # fmt: skip

LINEAR = [name for name in members("features") if hasattr(member("features", name), "project")]
"""Those that a linear learner weighs; others are columns for trees."""


@pytest.mark.parametrize("name", LINEAR)
def test_a_projection_is_the_matrix_times_the_weights(name: str) -> None:
    encoder = RowEncoder.fit(FIELDS, VALUES)
    vectors = np.random.default_rng(1).normal(size=(48, 10)).astype(np.float32)
    encoded = replace(encoder.columns(VALUES, 48), vectors=vectors)
    feature = member("features", name).fit(encoded, encoder)
    weights = np.random.default_rng(0).normal(size=(feature.width, 3))
    matrix = feature.matrix(encoded)
    assert matrix.shape == (48, feature.width)
    np.testing.assert_allclose(feature.project(encoded, weights), matrix @ weights, atol=1e-5)


@pytest.mark.parametrize("name", LINEAR)
def test_a_feature_without_its_fields_is_none(name: str) -> None:
    encoder = RowEncoder.fit((), {})
    assert member("features", name).fit(encoder.columns({}, 3), encoder) is None


def test_texts_have_about_length_one_whatever_their_words() -> None:
    encoder = RowEncoder.fit(FIELDS[3:4], {"note": NOTES})
    encoded = encoder.columns({"note": NOTES}, 48)
    terms = member("features", "terms").fit(encoded, encoder)
    lengths = np.sqrt(terms.matrix(encoded).power(2).sum(axis=1))
    assert lengths[3] == 0
    assert np.all((lengths[:3] > 0.7) & (lengths[:3] < 1.5))


def test_numbers_far_away_are_held_and_missing_ones_flagged() -> None:
    encoder = RowEncoder.fit(FIELDS[:1], {"age": VALUES["age"]})
    encoded = encoder.columns({"age": [1e300, None]}, 2)
    numbers = member("features", "numbers").fit(encoder.columns({"age": VALUES["age"]}, 48), encoder)
    np.testing.assert_array_equal(numbers.matrix(encoded).toarray(), [[10, 0], [0, 1]])


def test_one_value_beyond_all_others_does_not_hide_them() -> None:
    ages = [float(20 + i % 40) for i in range(300)]
    rare = [1.0] + [0.0] * 299
    for odd in ([1e9], [-1e300], [1e300, -1e12]):
        encoder = RowEncoder.fit(FIELDS[:1], {"age": [*ages, *odd]})
        numbers = member("features", "numbers").fit(encoder.columns({"age": [*ages, *odd]}, 300 + len(odd)), encoder)
        assert numbers.mean[0] == pytest.approx(np.mean(ages))
        assert 1 / numbers.scale[0] == pytest.approx(np.std(ages))
    encoder = RowEncoder.fit(FIELDS[:1], {"age": rare})
    numbers = member("features", "numbers").fit(encoder.columns({"age": rare}, 300), encoder)
    assert 1 / numbers.scale[0] == pytest.approx(np.std(rare))
