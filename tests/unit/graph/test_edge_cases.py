"""Nasty rows: many where fields are few, as much work where there are thousands."""

from aias.core.schema import Field
from aias.graph.edge_cases import CELLS_MAX, ROWS_MAX, edge_case_rows


def test_thousands_of_fields_are_proved_on_fewer_rows() -> None:
    few, many = ([Field(f"n{at}", "number") for at in range(count)] for count in (100, 5_000))
    assert len(edge_case_rows(few, [])) == ROWS_MAX
    assert len(edge_case_rows(many, [])) == CELLS_MAX // 5_000
