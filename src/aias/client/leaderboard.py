"""The leaderboard as a list of dicts that shows itself as a table, in a shell and in a notebook."""

from collections.abc import Sequence
from dataclasses import asdict
from html import escape
from typing import Any, Final

from aias.artifact.manifest import Candidate

COLUMNS: Final = ("model", "weight", "score", "fit s", "µs/row", "kB")


class Leaderboard(list[dict[str, Any]]):
    """Best first; each with the fields of its candidate."""

    def __init__(self, candidates: Sequence[Candidate]) -> None:
        super().__init__(asdict(each) for each in candidates)
        self._rows = [_cells(each) for each in candidates]
        self._metric = candidates[0].validation.metric if candidates else COLUMNS[2]

    def __repr__(self) -> str:
        head = self._head()
        wide = [max(map(len, column)) for column in zip(head, *self._rows, strict=True)]
        lines = ("  ".join(_aligned(line, wide)).rstrip() for line in (head, *self._rows))
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        rows = ("".join(f"<td>{escape(cell)}</td>" for cell in line) for line in self._rows)
        head = "".join(f"<th>{escape(name)}</th>" for name in self._head())
        return f"<table><tr>{head}</tr>{''.join(f'<tr>{row}</tr>' for row in rows)}</table>"

    def _head(self) -> tuple[str, ...]:
        return tuple(self._metric if name == "score" else name for name in COLUMNS)


def _cells(each: Candidate) -> tuple[str, ...]:
    score = each.validation
    interval = f" ({score.interval})" if score.interval else ""
    return (
        each.name or each.learner, f"{each.weight:.2f}" if each.chosen else "", f"{score.written}{interval}",
        f"{each.fit_seconds:.1f}", f"{each.row_us:,.0f}", f"{each.size_bytes / 1000:,.1f}",
    )  # fmt: skip


def _aligned(line: Sequence[str], wide: Sequence[int]) -> list[str]:
    """Names at the left, numbers at the right."""
    return [line[0].ljust(wide[0]), *(cell.rjust(room) for cell, room in zip(line[1:], wide[1:], strict=True))]
