"""Which column each input reads: by the names in the file, by what was said, or by their order."""

import pytest

from aias.core.limits import CATEGORIES_MAX
from aias.core.schema import Field, Schema, SchemaMismatch
from aias.encoders.number import Number
from aias.importing.formats.contract import Description, Input, UnfitModel
from aias.importing.matching import matched

COLUMNS = Schema(tuple(Field(name, "number") for name in ("id", "a", "b c", "y")))


def described(*names: str, named: bool = True) -> Description:
    return Description("LightGBM", tuple(map(Input, names)), named, "regression", 1)


def test_names_of_the_file_are_found_in_any_order_and_with_spaces() -> None:
    found = matched(described("b_c", "a"), COLUMNS, target="y", columns=())

    assert [each.name for each in found.fields] == ["b c", "a"] and found.by_name
    assert [each.name for each in found.ignored] == ["id"]


def test_without_names_all_columns_are_read_in_their_order() -> None:
    found = matched(described("f0", "f1", "f2", named=False), COLUMNS, target="y", columns=())

    assert [each.name for each in found.fields] == ["id", "a", "b c"] and not found.by_name


@pytest.mark.parametrize(
    ("description", "columns", "said"),
    [
        (described("a", "wrong"), (), "no column `wrong`, which the model reads"),
        (described("f0", named=False), (), "reads 1 columns, and 3 stand in the rows beside `y`"),
        (described("a", "b_c"), ("a",), "reads 2 columns, and 1 were named"),
        (described("a", "b_c"), ("a", "a"), "`a` is named twice"),
        (described("a", "b_c"), ("a", "nowhere"), "no column `nowhere`"),
        (described("a", "y"), (), "reads `y`, which is the target"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_named(description: Description, columns: tuple[str, ...], said: str) -> None:
    with pytest.raises(SchemaMismatch, match=said) as fault:
        matched(description, COLUMNS, target="y", columns=columns)
    assert fault.value.hint


@pytest.mark.parametrize("known", [("3", "3.0"), ("x", " x "), tuple(map(str, range(CATEGORIES_MAX + 1)))])
def test_categories_that_rows_cannot_tell_apart_are_refused(known: tuple[str, ...]) -> None:
    description = Description("ONNX", (Input("a", "category", known),), named=True, task="", outputs=1)

    with pytest.raises(UnfitModel, match="apart"):
        matched(description, COLUMNS, target=None, columns=())


@pytest.mark.parametrize(
    ("written", "format_"), [(("False", "True"), "true-false"), (("true",), "true-false"), (("no", "yes"), None)]
)
def test_flags_written_as_texts_are_the_numbers_that_the_model_knows(
    written: tuple[str, ...], format_: str | None
) -> None:
    schema = Schema((Field("a", "category", categories=written),))
    (field,) = matched(described("a"), schema, target=None, columns=()).fields

    assert (field.kind, field.format) == ("number", format_)
    if format_:
        assert Number(field).column(["TRUE", "false", True, "0", 1, ""]).ravel()[:5].tolist() == [1, 0, 1, 0, 1]


def test_a_category_that_the_model_knows_is_not_missing() -> None:
    schema = Schema((Field("a", "category", missing=("NA", "?")),))
    description = Description("ONNX", (Input("a", "category", ("NA", "x")),), named=True, task="", outputs=1)

    (field,) = matched(description, schema, target=None, columns=()).fields

    assert field.missing == ("?",) and field.categories == ("NA", "x")
