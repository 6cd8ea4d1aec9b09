"""`client/leaderboard.py`: a list for programs, a table for people."""

import json

from aias.artifact.manifest import Candidate
from aias.client.leaderboard import Leaderboard
from aias.core.task import Measurement


def board() -> Leaderboard:
    best = Measurement("roc_auc", 0.91, 800, 0.88, 0.93)
    return Leaderboard([
        Candidate("boosted_trees", {}, best, 2.5, chosen=True, name="boosted_trees <extra>", weight=1.0, row_us=1_234),
        Candidate("linear", {"C": 1.0}, Measurement("roc_auc", 0.9, 800), 0.25, size_bytes=1_566),
    ])  # fmt: skip


def test_it_is_a_list_of_dicts_for_programs() -> None:
    read = json.loads(json.dumps(board()))

    assert [each["name"] or each["learner"] for each in read] == ["boosted_trees <extra>", "linear"]
    assert read[0]["validation"]["value"] == 0.91 and read[1]["settings"] == {"C": 1.0}


def test_it_prints_as_a_table() -> None:
    assert str(board()).splitlines() == [
        "model                  weight                    roc_auc  fit s  µs/row   kB",
        "boosted_trees <extra>    1.00  0.9100 (0.8800 to 0.9300)    2.5   1,234  0.0",
        "linear                                            0.9000    0.2       0  1.6",
    ]


def test_in_a_notebook_it_is_a_table_and_names_are_no_markup() -> None:
    page = board()._repr_html_()

    assert page.startswith("<table><tr><th>model</th>") and page.count("<tr>") == 3
    assert "<td>boosted_trees &lt;extra&gt;</td>" in page


def test_an_empty_one_has_only_its_head() -> None:
    assert str(Leaderboard([])) == "model  weight  score  fit s  µs/row  kB"
