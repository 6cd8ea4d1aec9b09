"""`aias data check`."""

import shlex
from pathlib import Path

import pytest

from shell import Run


def test_data_check_says_what_each_column_is_taken_for(run: Run, churn: Path) -> None:
    done = run("data", "check", churn, "--target", "left")

    assert done.status == 0
    assert all(name in done.out for name in ("age", "number", "plan", "category", "target"))


@pytest.mark.parametrize("file", ["churn.csv", "my rows.parquet"])
def test_a_file_without_the_command_is_told_the_command(run: Run, file: str) -> None:
    done = run("data", file, "--target", "y")

    assert done.status == 2 and f"aias data check {shlex.quote(file)} --target y" in done.err


def test_data_check_of_many_numbers_fits_80_columns_a_line_each(run: Run, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.chdir(tmp_path)  # the path may be longer than a line
    names = [f"a_long_name_of_number_{i:02}" for i in range(9)]
    rows = [",".join(f"{row * (i + 2) % 11}.5" for i in range(9)) for row in range(11)]
    (tmp_path / "wide.csv").write_text("\n".join([",".join(names), *rows]))
    lines = run("data", "check", "wide.csv").out.splitlines()

    assert [sum(name in line for line in lines) for name in names] == [1] * 9
    assert max(map(len, lines)) <= 80


def test_data_check_of_categories_fits_80_columns_a_line_each(run: Run, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    rows = "".join(f"{('web', 'shop')[n % 2]},{('one month', 'a year')[n % 3 // 2]}\n" for n in range(60))
    monkeypatch.chdir(tmp_path)  # the path may be longer than a line
    (tmp_path / "plans.csv").write_text("channel,contract_or_longer\n" + rows)

    lines = run("data", "check", "plans.csv", "--target", "channel").out.splitlines()

    assert len(lines) == 3 + 2, lines
    assert lines[4].split()[-3:] == ["2.0", "words", "each"]


def test_data_check_does_not_advise_to_train_where_training_would_refuse(run: Run, tmp_path: Path) -> None:
    (tmp_path / "one.csv").write_text("y\n" + "yes\nno\n" * 20)
    done = run("data", "check", tmp_path / "one.csv", "--target", "y")

    assert done.status == 2
    assert "`y` is the only column" in done.err and "aias train" not in done.err


def test_data_check_with_json_is_the_same_in_full(run: Run, churn: Path) -> None:
    found = run("data", "check", churn, "--json").json

    assert found["rows"] == 300
    assert [(each["name"], each["kind"]) for each in found["fields"]] == [
        ("age", "number"), ("plan", "category"), ("left", "category")
    ]  # fmt: skip


def test_a_saved_schema_can_be_edited_and_trained_with(run: Run, empty_home: Path, churn: Path, tmp_path: Path) -> None:
    saved = tmp_path / "schema.yaml"
    assert run("data", "check", churn, "--save", saved).status == 0
    saved.write_text(
        saved.read_text().replace(
            "- name: plan\n  kind: category\n  role: input", "- name: plan\n  kind: category\n  role: ignored"
        )
    )

    assert run("train", churn, "--target", "left", "--learner", "linear", "--schema", saved).status == 0

    assert [each["name"] for each in run("show", "churn", "--json").json["inputs"]] == ["age"]


@pytest.mark.parametrize(
    ("content", "status"), [(b"", 2), (b"\x00\x01\x02\x03" * 100, 2), (b"only,a,header\n", 2), (None, 3)]
)
def test_data_check_of_what_is_no_table_says_what_to_do(
    run: Run, tmp_path: Path, content: bytes | None, status: int
) -> None:
    path = tmp_path / "odd.csv"
    if content is not None:
        path.write_bytes(content)

    done = run("data", "check", path, "--json")

    assert done.status == status
    assert done.error["hint"]
