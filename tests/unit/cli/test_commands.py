"""Each command: what it says when all is well, and when it is not."""

import json
from pathlib import Path

import polars as pl
import pytest

import aias
from aias.cli.version import draw
from aias.client.model import load
from aias.runtimes.engine_choice import Choice
from shell import Run


def test_train_publishes_and_says_what_it_tried(run: Run, empty_home: Path, churn: Path) -> None:
    done = run("train", churn, "--target", "left", "--learner", "linear", "--time", "600s")

    assert done.status == 0
    assert done.out.splitlines()[0].split() == ["model", "roc_auc", "fit", "s", "µs/row", "size", "quality", "serving"]
    assert done.out.splitlines()[2].split()[0] == "linear"
    forms = [line.split() for line in done.out.splitlines() if "churn@" in line]
    assert [line[:2] for line in forms] == [["churn@1", "quality"], ["churn@2", "serving"]]
    assert "aias deploy churn@2" in done.err


def test_train_with_json_tells_each_event_in_a_line(run: Run, empty_home: Path, churn: Path) -> None:
    done = run("train", churn, "--target", "left", "--learner", "linear", "--name", "x", "--json")

    events = [json.loads(line) for line in done.out.splitlines()]
    names = [event["event"] for event in events]
    assert names[-1] == "train.published"
    assert events[-1]["version"] == "x@2"
    assert {"train.split", "train.candidate", "train.parity", "train.test"} <= set(names)


def test_the_events_of_a_score_that_cannot_be_measured_are_json(run: Run, empty_home: Path, tmp_path: Path) -> None:
    (tmp_path / "few.csv").write_text("a,y\n1,x\n2,z\n3,x\n")

    done = run("train", tmp_path / "few.csv", "--target", "y", "--learner", "linear", "--json")

    assert done.status == 0
    assert "NaN" not in done.out
    assert json.loads(done.out.splitlines()[-1])["version"] == "few@2"


@pytest.mark.parametrize(
    ("arguments", "status", "code"),
    [
        (["--target", "gone"], 2, "schema.mismatch"),
        (["--target", "left", "--metric", "beauty"], 2, ""),
        (["--target", "left", "--metric", "rmse"], 2, "data.bad-target"),
        (["--target", "left", "--time", "soon"], 2, "aias.bad-input"),
        (["--target", "left", "--time", "0s"], 2, "aias.bad-input"),
        (["--target", "left", "--split", "colour"], 2, "data.bad-split"),
        (["--target", "left", "--learner", "magic"], 3, "aias.not-found"),
        (["--target", "left", "--class-weights", "many"], 2, "aias.bad-input"),
        (["--target", "left", "--class-weights", "maybe=2"], 2, "aias.bad-input"),
        (["--target", "left", "--name", "Bad Name"], 2, "names.bad-name"),
        (["--target", "left", "--schema", "no.yaml"], 3, "data.no-such-file"),
    ],
)
def test_train_refuses_what_cannot_be_and_publishes_nothing(
    run: Run, empty_home: Path, churn: Path, arguments: list[str], status: int, code: str
) -> None:
    done = run("train", churn, *arguments, "--json")

    assert done.status == status
    assert done.error["hint"]
    assert done.error["code"] == code or not code
    assert run("ls", "--json").json["versions"] == []


def test_class_weights_from_a_shell_are_those_of_python(run: Run, empty_home: Path, churn: Path) -> None:
    asked = ("--target", "left", "--learner", "linear", "--class-weights", "balanced", "--name", "m", "--json")
    assert run("train", churn, *asked).status == 0

    lineage = run("show", "m@2", "--json").json["lineage"]
    assert lineage["settings"]["class_weights"] == "balanced"


def test_train_without_a_target_says_where_the_columns_are_shown(run: Run, empty_home: Path, churn: Path) -> None:
    done = run("train", churn)

    assert done.status == 2
    assert f"Missing option '--target'. `aias data check {churn}` shows the columns." in done.err


def test_ls_of_an_empty_home_says_what_to_do(run: Run, empty_home: Path) -> None:
    done = run("ls")

    assert (done.status, done.out) == (0, "")
    assert "aias train" in done.err


def test_ls_shows_versions_with_their_endpoints(run: Run, home: Path) -> None:
    run("deploy", "churn@1", "--as", "live")

    line = next(line for line in run("ls").out.splitlines() if "churn@1" in line)

    assert "live" in line
    assert line.split()[1:3] == ["quality", "roc_auc"]
    assert [each["number"] for each in run("ls", "--json").json["versions"]] == [1, 2]


def test_show_is_the_card(run: Run, home: Path) -> None:
    done = run("show", "churn@1")

    assert done.status == 0
    assert done.out.startswith("# churn")
    assert "## Proof" in done.out


def test_show_writes_a_page_with_the_plots_of_the_version(run: Run, home: Path, tmp_path: Path) -> None:
    done = run("show", "churn", "--html", tmp_path / "churn.html")

    assert (done.status, done.out) == (0, "")
    page = (tmp_path / "churn.html").read_text("utf-8")
    assert "churn@2, made from churn@1" in page
    assert page.count("data:image/svg+xml;base64,") >= 4
    assert 'src=""' not in page


def test_a_version_whose_quality_form_was_removed_is_still_shown(run: Run, home: Path, tmp_path: Path) -> None:
    assert run("rm", "churn@1").status == 0

    assert run("show", "churn", "--html", tmp_path / "churn.html").status == 0
    assert '<p class="version">churn@2</p>' in (tmp_path / "churn.html").read_text("utf-8")


def test_the_essence_of_a_version_fits_a_terminal(home: Path, capfd: pytest.CaptureFixture[str]) -> None:
    draw(load("churn", home=home))

    shown = capfd.readouterr().out
    for words in ("churn@2\n", "serving form, made from churn@1", "µs a row", "proved on", "roc_auc", "linear"):
        assert words in shown
    assert max(map(len, shown.splitlines())) <= 100


def test_the_engine_that_was_measured_to_be_faster_is_shown(
    home: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    choice = Choice("openvino", "openvino is 1.50× as fast as ONNX Runtime", 1.5)
    monkeypatch.setattr(
        "aias.cli.version.chosen", lambda _manifest, cache: choice if cache.parent.parent == home else None
    )
    draw(load("churn", home=home))

    assert "served on this host by openvino: openvino is 1.50× as fast" in capfd.readouterr().out


def test_ls_counts_what_is_loaded_and_not_the_card(run: Run, home: Path) -> None:
    manifest = load("churn@1", home=home).manifest
    loaded = sum(each.size_bytes for each in manifest.files if not each.path.startswith(("card", "plots", "report")))
    (told,) = [each for each in run("ls", "--json").json["versions"] if (each["name"], each["number"]) == ("churn", 1)]
    assert 0 < told["served_bytes"] == manifest.served_bytes < loaded < told["size_bytes"]


def test_ls_says_which_version_is_damaged(run: Run, home: Path) -> None:
    manifest = Path(run("show", "churn@1", "--json").json["folder"]) / "manifest.json"
    manifest.chmod(0o600)
    manifest.write_bytes(b"{}")

    assert next(line for line in run("ls").out.splitlines() if "churn@1" in line).split()[1] == "damaged"


def test_show_with_json_is_the_manifest_and_where_it_lies(run: Run, home: Path) -> None:
    shown = run("show", "churn", "--json").json

    assert shown["version"] == "churn@2"
    assert shown["task"]["classes"] == ["no", "yes"]
    assert (Path(shown["folder"]) / "model.onnx").is_file()


@pytest.mark.parametrize(("ref", "status"), [("churn@9", 3), ("chrun", 3), ("Churn", 2), ("churn@0", 2)])
def test_a_version_that_is_not_there_is_not_found(run: Run, home: Path, ref: str, status: int) -> None:
    done = run("show", ref, "--json")

    assert done.status == status
    assert done.error["hint"]


def test_a_name_nearly_right_is_answered_with_the_right_one(run: Run, home: Path) -> None:
    assert "did you mean `churn`?" in run("show", "chrun").err


def test_evaluate_measures_other_rows(run: Run, home: Path, churn: Path) -> None:
    done = run("evaluate", "churn@1", churn, "--json")

    found = {each["metric"]: each for each in done.json}
    assert found["accuracy"]["n"] == 300
    assert found["accuracy"]["low"] <= found["accuracy"]["value"] <= found["accuracy"]["high"]
    assert "accuracy" in run("evaluate", "churn@1", churn).out


def test_evaluate_warns_of_rows_that_were_learned_from(run: Run, home: Path, churn: Path, tmp_path: Path) -> None:
    (tmp_path / "new.csv").write_text("age,plan,left\n" + "".join(f"{18 + i}.5,basic,yes\n" for i in range(30)))

    assert "300 of the 300 rows have the inputs of rows that it was trained on" in run("evaluate", "churn", churn).err
    assert "trained on" not in run("evaluate", "churn", tmp_path / "new.csv").err


def test_what_training_left_out_and_the_answers_are_left_out_of_other_rows_without_a_word(
    run: Run, home: Path, churn: Path, tmp_path: Path
) -> None:
    header, *rows = churn.read_text().splitlines()
    lines = [f"customer,{header}", *(f"c-{n},{row}" for n, row in enumerate(rows))]
    (tmp_path / "all.csv").write_text("\n".join(lines))
    (tmp_path / "more.csv").write_text("\n".join([lines[0] + ",note", *(f"{line},late" for line in lines[1:50])]))
    aias.train(tmp_path / "all.csv", target="left", name="numbered", learners=("linear",), time=600, inline=True)

    assert "`customer` is ignored" in run("data", "check", tmp_path / "all.csv", "--target", "left").err
    assert "not in the schema" not in run("evaluate", "numbered", tmp_path / "all.csv").err
    assert "not in the schema" not in run("predict", "numbered", tmp_path / "all.csv").err
    assert (
        "1 column is not in the schema and is ignored: note" in run("evaluate", "numbered", tmp_path / "more.csv").err
    )


def test_evaluate_needs_the_answers(run: Run, home: Path, tmp_path: Path) -> None:
    (tmp_path / "rows.csv").write_text("age,plan\n20,basic\n")

    done = run("evaluate", "churn", tmp_path / "rows.csv", "--json")

    assert (done.status, done.error["code"]) == (2, "data.bad-target")


def test_predict_writes_a_line_for_each_row_and_nothing_else(run: Run, home: Path, tmp_path: Path) -> None:
    (tmp_path / "rows.csv").write_text("age,plan\n20,basic\n80,pro\n")

    done = run("predict", "churn", tmp_path / "rows.csv")

    assert done.status == 0
    header, *lines = done.out.splitlines()
    assert header == "prediction,probability_no,probability_yes"
    assert [line.split(",")[0] for line in lines] == ["yes", "no"]


@pytest.mark.parametrize("ending", ["csv", "parquet", "jsonl", "arrow"])
def test_predict_writes_what_the_files_name_ends_in(
    run: Run, home: Path, churn: Path, tmp_path: Path, ending: str
) -> None:
    out = tmp_path / f"answers.{ending}"

    done = run("predict", "churn@1", churn, "-o", out)

    assert (done.status, done.out) == (0, "")
    read = {"csv": pl.read_csv, "parquet": pl.read_parquet, "jsonl": pl.read_ndjson, "arrow": pl.read_ipc}[ending]
    frame = read(out)  # type: ignore[operator]
    assert (frame.height, frame.columns[0]) == (300, "prediction")


def test_predict_knows_its_endings_before_it_works(run: Run, home: Path, churn: Path, tmp_path: Path) -> None:
    done = run("predict", "churn", churn, "-o", tmp_path / "answers.docx", "--json")

    assert done.status == 2
    assert not (tmp_path / "answers.docx").exists()


def test_a_row_that_cannot_be_answered_names_its_row_and_field(run: Run, home: Path, tmp_path: Path) -> None:
    (tmp_path / "rows.csv").write_text("age,plan\n20,basic\nold,pro\n")

    done = run("predict", "churn", tmp_path / "rows.csv", "--json")

    assert done.status == 2
    assert (done.error["field"], done.error["row"]) == ("age", "1")


def test_deploy_moves_an_endpoint_and_undeploy_takes_it_away(run: Run, home: Path) -> None:
    assert run("deploy", "churn@1").out == "/predict/churn → churn@1\n"
    assert run("deploy", "churn", "--json").json["number"] == 2
    assert run("undeploy", "churn").out == "/predict/churn is gone\n"
    assert run("ls", "--json").json["endpoints"] == []
    again = run("undeploy", "churn")
    assert (again.status, again.out) == (0, "/predict/churn is gone already\n")
    assert run("undeploy", "chrun").status == 3


def test_rm_wants_the_number(run: Run, home: Path) -> None:
    done = run("rm", "churn")

    assert done.status == 2
    assert "aias rm churn@2" in done.err
    assert len(run("ls", "--json").json["versions"]) == 2


def test_a_version_that_answers_cannot_be_removed(run: Run, home: Path) -> None:
    run("deploy", "churn@1")

    done = run("rm", "churn@1")

    assert done.status == 5
    assert "(registry.version-in-use)" in done.err
    assert run("show", "churn@1").status == 0


def test_a_removed_version_is_gone_and_its_number_stays_taken(run: Run, home: Path, churn: Path) -> None:
    assert run("rm", "churn@2").out == "removed churn@2\n"
    assert run("show", "churn@2").status == 3

    run("train", churn, "--target", "left", "--learner", "linear", "--seed", 5)

    assert [each["number"] for each in run("ls", "--json").json["versions"]] == [1, 3, 4]


def test_export_makes_a_folder_once(run: Run, home: Path, tmp_path: Path) -> None:
    done = run("export", "churn@1", tmp_path / "out")

    assert (done.status, done.out) == (0, f"{tmp_path / 'out'}\n")
    assert {"model.onnx", "manifest.json", "predict.py", "card.md"} <= {
        each.name for each in (tmp_path / "out").iterdir()
    }
    assert run("export", "churn@1", tmp_path / "out").status == 5
    assert run("export", "churn@1", tmp_path / "none" / "out").status == 2


def test_serve_refuses_a_port_that_is_taken(run: Run, empty_home: Path) -> None:
    import socket

    with socket.create_server(("127.0.0.1", 0)) as taken:
        done = run("serve", "--port", taken.getsockname()[1])

    assert done.status == 2
    assert "(serving.port-in-use)" in done.err


def test_serve_refuses_to_be_open_to_all_by_accident(run: Run, empty_home: Path) -> None:
    done = run("serve", "--host", "0.0.0.0", "--port", 0)

    assert done.status == 2
    assert "(serving.open-to-all)" in done.err


def test_a_model_to_import_that_is_not_there_is_looked_for_nearby(run: Run, empty_home: Path, tmp_path: Path) -> None:
    (tmp_path / "churn.onnx").touch()

    near = run("import", tmp_path / "chrun.onnx", "--json").error
    hub = run("import", "intfloat/multilingual-e5-small", "--json").error

    assert (near["code"], near["hint"]) == ("data.no-such-file", "did you mean `churn.onnx`?")
    assert "`hf download intfloat/multilingual-e5-small`" in hub["hint"]


def test_import_publishes_a_sentence_encoder(run: Run, empty_home: Path, tmp_path: Path) -> None:
    pytest.importorskip("tokenizers", reason="the extra `text` is not installed")
    pytest.importorskip("safetensors", reason="the extra `text` is not installed")
    from tiny_encoder import encoder_into

    folder = tmp_path / "My Encoder"
    folder.mkdir()
    encoder_into(folder, "bert")
    (tmp_path / "texts.csv").write_text("text\na b\nc\n")

    assert run("import", folder, "--json").json["version"] == "my-encoder@1"
    assert run("import", folder, "--name", "tiny").out.startswith("tiny@1  vectors of 8 numbers")
    assert "embedding" in run("ls").out
    assert run("predict", "tiny", tmp_path / "texts.csv").out.startswith("vector_0,vector_1")
    assert run("optimize", "tiny", "--json").error["code"] == "aias.bad-input"
