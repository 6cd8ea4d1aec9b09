import json
import shlex
from dataclasses import replace

import artifacts
from aias.artifact.card import card
from aias.core.schema import Field


def test_a_card_tells_all_that_it_promises():
    text = card(artifacts.manifest(), sizes={"model.onnx": 12_345})

    for words in (
        "# churn",
        "Predicts `left`: one of two classes, `no`, `yes`",
        "| `age` | number | yes |  | every value is a number |",
        "| `id` | a different value in every row |",
        "train 3,200, validation 800, test 1,000",
        "| `roc_auc` | 0.9050 | 0.8800 to 0.9300 | 1,000 |",
        "| **boosted\\_trees** (chosen) | `roc_auc` 0.9100 |",
        "1,500 held-out and odd rows: 0 different answers, scores apart by at most 3.2e-07",
        "| all | 12,345 |",
        "aias deploy churn",
        "not tested for fairness",
        f"| data | `sha256:{'d' * 64}` |",
    ):
        assert words in text


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


def test_a_small_test_set_is_said_to_be_small():
    few = replace(artifacts.manifest(), rows={"train": 90, "test": 30})

    assert "tested on 30 rows only" in card(few)
    assert "rows only" not in card(artifacts.manifest())


def test_a_number_is_not_said_to_have_classes():
    manifest = artifacts.manifest()
    regression = replace(manifest, task=replace(manifest.task, type="regression", metric="rmse", classes=()))

    assert "Predicts `left`: a number.\nChosen by `rmse` (lower is better)." in card(regression)
