import json
import shlex
from dataclasses import replace

import pytest

import artifacts
from aias.artifact.card import card
from aias.artifact.report import FieldImportance, Report, SliceScore, read_report
from aias.core.errors import Damaged
from aias.core.schema import Field
from aias.core.task import Measurement


def test_a_card_tells_all_that_it_promises():
    text = card(artifacts.manifest(), sizes={"model.onnx": 12_345})

    for words in (
        "# churn",
        "Predicts `left`: one of two classes, `no`, `yes`",
        "| `age` | number | yes |  | every value is a number |",
        "| `id` | a different value in every row |",
        "3,200 to learn from, 800 validation, 1,000 to test",
        "| `roc_auc` | 0.9050 | 0.8800 to 0.9300 | 1,000 |",
        "| yes | **boosted\\_trees** | `roc_auc` 0.9100 |",
        "1,500 held-out and difficult rows: 0 different answers, scores apart by at most 3.2e-07",
        "| all |  | 12,345 |",
        "aias deploy churn",
        "not tested for fairness",
        f"| data | `sha256:{'d' * 64}` |",
    ):
        assert words in text


def test_what_a_note_has_between_back_ticks_is_code_and_nothing_else_is_markup():
    text = card(replace(artifacts.manifest(), notes=("30 rows have no `it's *left*` and are <b>left out</b>",)))

    assert "- 30 rows have no `it's *left*` and are \\<b\\>left out\\</b\\>" in text


def test_a_card_says_what_each_axis_of_optimising_gave():
    manifest = artifacts.manifest()
    gain = {"metric": "roc_auc", "value": 0.0116, "low": 0.0028, "high": 0.0206, "rows": 353}
    axes = [
        {"axis": "structure", "tried": ["boosted_trees", "mlp"], "gain": -0.0001, "kept": ["boosted_trees"]},
        {"axis": "strategy", "tried": [], "gain": None, "kept": []},
    ]
    settings = {"better_than": "churn@1", "compared": "quality", "gain": gain, "axes": axes}
    lineage = replace(manifest.lineage, verb="optimize", settings=settings)
    weighed = tuple(replace(each, name=each.learner, weight=float(each.chosen)) for each in manifest.leaderboard)
    text = card(replace(manifest, lineage=lineage, leaderboard=weighed))

    for words in (
        "better than `churn@1`: roc\\_auc +0.0116 (+0.0028 to +0.0206, 353 rows), on rows that were not searched on",
        "compared is the quality form",
        "| structure | 2 | -0.0001 | boosted\\_trees |",
        "| strategy | 0 | nothing was ready | none |",
    ):
        assert words in text
    assert "What optimising gave" not in card(replace(manifest, lineage=replace(lineage, settings={"gain": 3})))
    assert "What optimising gave" not in card(replace(manifest, lineage=replace(lineage, verb="train")))


def test_the_line_to_call_it_is_one_a_shell_and_a_json_reader_understand():
    hostile = Field("it's $HOME `id`", "text", example="don't; rm -rf /")
    text = card(replace(artifacts.manifest(), inputs=(hostile,)))

    command = next(line for line in text.splitlines() if line.startswith("curl"))

    assert json.loads(shlex.split(command)[-1]) == [{"it's $HOME `id`": "don't; rm -rf /"}]


def test_what_a_column_is_called_never_becomes_markup():
    hostile = Field("a|b\n\n# title", "text", reason="<script>alert(1)</script> [x](javascript:1) | ``` ")
    text = card(replace(artifacts.manifest(), inputs=(hostile,)))

    rows = [line for line in text.splitlines() if "alert" in line]

    assert len(rows) == 1
    assert rows[0].startswith("| `a¦b # title` | text | yes |  | \\<script\\>")
    assert rows[0].replace("\\|", "").count("|") == 6
    assert "<script>" not in text


def test_a_long_category_is_shown_by_its_beginning():
    long = Field("c", "category", categories=("x" * 5_000, "blue"))
    text = card(replace(artifacts.manifest(), inputs=(long,)))

    assert f"`{'x' * 80}…`, `blue`" in text
    assert max(map(len, text.splitlines())) < 2_000


def test_the_card_of_a_form_shows_its_plots_what_it_hangs_on_and_parts_of_the_rows():
    board = (replace(artifacts.manifest().leaderboard[0], name="deep", weight=0.625, row_us=41.2, size_bytes=81_000),)
    form = replace(artifacts.manifest(), form="serving", judged="out of fold", row_us=52.4, leaderboard=board)
    hostile = FieldImportance("![x](http://evil) | `", 0.0713, 0.07, 0.0726)
    slices = (SliceScore("plan", "basic", Measurement("roc_auc", 0.86, 412, 0.82, 0.89)),)

    text = card(
        form, sizes={"model.onnx": 1, "plots/roc.svg": 2, "plots/importance.svg": 3, "plots/odd.svg": 4},
        report=Report((hostile,), 2_000, slices),
    )  # fmt: skip

    for words in (
        "the *serving* form",
        "A row takes 52 µs",
        "## Measured on 1,000 rows out of fold",
        "![ROC curve](plots/roc.svg)",
        "![Feature importance](plots/importance.svg)",
        "permuted among 2,000 rows",
        "| 0.0713 | 0.0700 to 0.0726 |",
        "| `plan` | `basic` | `roc_auc` | 0.8600 | 0.8200 to 0.8900 | 412 |",
        "| 0.62 | **deep** | `roc_auc` 0.9100 | 0.8900 to 0.9300 | 2.5 s | 41 | 81 kB |",
    ):
        assert words in text
    assert "odd.svg)" not in text
    assert "| `` ![x](http://evil) ¦ ` `` |" in text  # code, and no picture


def test_importances_in_one_column_have_equally_many_digits():
    fields = (FieldImportance("age", 0.0713, 0.07, 0.0726), FieldImportance("plan", 0.0008004, 5.895e-05, 0.0015))

    text = card(artifacts.manifest(), report=Report(fields, 2_000, ()))

    assert "| 0.0713 | 0.0700 to 0.0726 |" in text
    assert "| 0.0008 | 0.0001 to 0.0015 |" in text


def test_parts_of_the_rows_that_are_not_shown_are_counted():
    parts = tuple(SliceScore("city", str(at), Measurement("roc_auc", 0.86, 412)) for at in range(8))

    assert "2 smaller slices are in `report.json`." in card(artifacts.manifest(), report=Report((), 0, parts))
    assert "smaller parts" not in card(artifacts.manifest(), report=Report((), 0, parts[:6]))


def test_what_does_not_differ_at_all_is_a_plain_nought():
    same = replace(artifacts.manifest().parity, score_difference_max=0.0, batch_difference_max=0.0)

    assert "by at most 0, the same row alone and in a batch by at most 0." in card(
        replace(artifacts.manifest(), parity=same)
    )


def test_a_report_is_read_as_it_was_written_and_refused_when_it_is_none():
    report = Report((FieldImportance("age", 0.1, 0.0, 0.2),), 500, ())

    assert read_report(report.as_bytes()) == report
    with pytest.raises(Damaged, match=r"report\.json"):
        read_report(b'{"importance": 3}')


def test_a_small_test_set_is_said_to_be_small():
    few = replace(artifacts.manifest(), rows={"train": 90, "test": 30})

    assert "tested on 30 rows only" in card(few)
    assert "rows only" not in card(artifacts.manifest())


def test_where_intervals_end_is_said():
    spans = {"level": 0.9, "edges": [], "lower": [-1.0], "upper": [1.0]}

    assert "beside an amount hold the truth in 90 % of such rows." in card(
        replace(artifacts.manifest(), intervals=spans)
    )
    assert "was below 0, so nor are they" in card(replace(artifacts.manifest(), intervals=spans | {"floor": 0.0}))


def test_a_number_is_not_said_to_have_classes():
    manifest = artifacts.manifest()
    regression = replace(manifest, task=replace(manifest.task, type="regression", metric="rmse", classes=()))

    assert "Predicts `left`: a number.\nChosen by `rmse` (lower is better)." in card(regression)


def test_a_card_says_that_the_rows_it_was_measured_on_stopped_what_it_was_made_of():
    plain = replace(artifacts.manifest(), form="compressed", judged="out of fold")
    stopped = replace(plain, lineage=replace(plain.lineage, settings={"proof": {"stopped": True}}))

    assert "stopped by these rows" in card(stopped) and "stopped by these rows" not in card(plain)
