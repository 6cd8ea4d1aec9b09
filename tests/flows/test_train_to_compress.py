"""A version becomes smaller where that is proved, and is left alone where it is not."""

import threading
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from click.testing import CliRunner

import aias
from aias.artifact.manifest import read_manifest
from aias.cli import version
from aias.cli.main import aias as command_line
from aias.cli.version import draw
from aias.client import compress as client
from aias.compress import job
from aias.compress.frontier import read_frontier
from aias.compress.nomination import Assurance
from aias.compress.techniques import distill
from aias.core.errors import NotFound, StorageFailed, UserError
from aias.core.events import Event
from aias.core.host import host
from aias.core.schema import Schema
from aias.data.read import read
from aias.registry.registry import Registry
from aias.runtimes import arrival
from aias.runtimes.golden import GOLDEN, ROWS
from aias.serving.versions.loading import made_from
from aias.teaching.seen import seen
from aias.training.parent import NoTime, Parent
from compression_contexts import small_students, soon


def amounts(rows: int = 1_500) -> pl.DataFrame:
    """What takes trees, but not many; with some noise."""
    rng = np.random.default_rng(0)
    a, b = rng.uniform(-1, 1, (2, rows))
    colour = rng.choice(["red", "green", "blue"], rows)
    y = 2.0 * (a * b > 0) + (colour == "red") + rng.normal(size=rows) / 3
    return pl.DataFrame({"a": a, "b": b, "colour": colour, "y": y})


LEARNERS = {"boosted_trees": {"rounds": 120, "num_leaves": 15}, "extra_trees": {"trees": 30}}


@pytest.fixture(scope="module", autouse=True)
def _soon() -> Iterator[None]:
    with soon() as patched:
        small_students(patched)
        yield


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("home")


@pytest.fixture(scope="module")
def parent(home: Path) -> aias.Model:
    file = home / "amounts.csv"
    amounts().write_csv(file)
    trained = aias.train(
        file, target="y", name="amounts", time="600s", folds=4, learners=LEARNERS, search=False, inline=True, home=home,
    )  # fmt: skip
    return trained.quality


def test_an_ensemble_becomes_smaller_and_faster_with_its_proof(home: Path, parent: aias.Model) -> None:
    told: list[Event] = []

    found = parent.compress(max_loss="20%", time="600s", inline=True, watch=told.append)

    assert found.better
    assert found.model.ref == "amounts@3"
    manifest = found.model.manifest
    judges = read(amounts()[:40], schema=Schema(manifest.inputs))
    assert seen(manifest, judges, home=home) == 40  # it learned from what its parent did
    assert (manifest.form, manifest.lineage.verb, manifest.lineage.parents) == (
        "compressed",
        "compress",
        (parent.version.digest,),
    )
    published = next(each for each in found.frontier.points if each.state == "published")
    assert published.certified is not None
    assert published.certified.high < found.frontier.margin
    assert published.speed is not None
    assert published.smaller > 1
    assert manifest.parity.label_differences == 0
    proof = manifest.lineage.settings["proof"]
    assert isinstance(proof, dict)
    assert proof["technique"] == published.technique
    assert proof["p"] < 0.05
    fell = [each.reason for each in found.frontier.points if each.state == "fell"]
    assert all(fell)
    assert not [each for each in fell if "Error: " in each]
    assert published.together is not None
    assert manifest.row_us == round(published.pace.p50.value, 1)
    assert {"compress.power", "compress.candidate", "compress.verdict"} <= {event.name for event in told}
    new = amounts(200)
    gap = found.model.predict(new.drop("y")) - parent.predict(new.drop("y"))
    assert np.abs(gap).mean() < 0.3


def test_on_another_host_it_is_compared_and_timed_before_it_is_served(
    home: Path, parent: aias.Model, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    child, here, cache = aias.load("amounts@3", home=home), host(), home / arrival.CACHE
    draw(child)
    assert "proved and timed on this host" in capsys.readouterr().out
    for module in (arrival, version):
        monkeypatch.setattr(module, "host", lambda: replace(here, processor="another"))
    draw(child)
    assert "compares its answers here before it serves it" in capsys.readouterr().out

    above, recorded = partial(made_from, child.registry, child.version, home=home), (child.folder / GOLDEN).read_bytes()
    found = arrival.arrive(child.runtime, recorded, above=above, cache=cache, watch=[].append)

    assert found is not None
    assert (found.rows, found.parent) == (ROWS, parent.ref)
    assert found.speed is not None
    draw(child)
    shown = capsys.readouterr().out
    assert f"compressed form, made from {parent.ref}" in shown
    assert f"as fast as {parent.ref}" in " ".join(shown.split())


def test_the_frontier_is_kept_with_the_version_and_beside_its_parent(home: Path, parent: aias.Model) -> None:
    child = aias.load("amounts@3", home=home)

    assert child.frontier() == parent.frontier()
    assert read_frontier((child.folder / "frontier.json").read_bytes()) == child.frontier()
    card = (child.folder / "card.md").read_text("utf-8")
    assert "## Frontier" in card
    assert "plots/frontier.svg" in card
    assert (child.folder / "plots" / "frontier.svg").read_bytes().startswith(b"<svg")
    assert read_manifest((child.folder / "manifest.json").read_bytes()).form == "compressed"
    with pytest.raises(NotFound, match="not been compressed") as fault:
        aias.load("amounts@2", home=home).frontier()
    assert fault.value.hint.startswith("aias compress amounts@2; `aias frontier amounts@")


def test_the_frontier_is_shown_as_a_table_as_markdown_and_as_json(home: Path, parent: aias.Model) -> None:
    shell = CliRunner(env={"AIAS_HOME": str(home), "COLUMNS": "200"})
    flags = ("", "--markdown", "--json")
    shown = {flag: shell.invoke(command_line, ["frontier", parent.ref, *flag.split()]) for flag in flags}

    assert [each.exit_code for each in shown.values()] == [0, 0, 0]
    assert "do nothing" in shown[""].output
    assert "| candidate | by |" in shown["--markdown"].output
    assert '"verdict"' in shown["--json"].output


def test_what_is_compressed_is_compressed_again_and_the_whole_loss_is_told(parent: aias.Model) -> None:
    settings: dict[str, Any] = {"time": "600s", "inline": True}
    child = parent.compress(max_loss="20%", techniques=("drop_members",), **settings).model
    with pytest.raises(UserError, match="compressed already"):
        child.optimize(inline=True)

    found = child.compress(max_loss="60%", techniques=("cut_trees", "smaller_model"), **settings)

    assert found.frontier.ref == child.ref != parent.ref
    assert found.better, found.frontier.verdict
    assert found.model.manifest.lineage.parents == (child.version.digest,)
    total = found.frontier.total
    assert total is not None
    assert total.of == parent.ref
    assert total.loss.low < total.loss.value < total.loss.high
    proof = found.model.manifest.lineage.settings["proof"]
    assert isinstance(proof, dict)
    assert proof["total"]["of"] == parent.ref
    assert "which was trained first" in found.frontier.markdown()


def test_without_what_it_was_made_from_a_compressed_version_cannot_be_judged(tmp_path: Path, home: Path) -> None:
    child, other = aias.load("amounts@3", home=home), Registry.open(tmp_path)
    files = {each.path: (child.folder / each.path).read_bytes() for each in child.manifest.files}
    version = other.publish("alone", files, replace(child.manifest, files=()))

    with pytest.raises(UserError, match="what it was made from is not here"):
        aias.load(str(version), home=tmp_path).compress(inline=True)


def test_rows_without_labels_are_taught_on_and_certify_nothing(home: Path, parent: aias.Model) -> None:
    told: list[Event] = []

    settings: dict[str, Any] = {"max_loss": "20%", "time": "600s", "techniques": ("distill",), "inline": True}
    found = parent.compress(data=amounts(300).drop("y"), watch=told.append, **settings)

    assert "compress.unlabelled" in {event.name for event in told}
    assert found.frontier.certified_rows > 300


def test_a_second_run_on_the_same_rows_says_what_that_does_to_the_risk(
    parent: aias.Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client, "FRONTIERS", "elsewhere")
    settings: dict[str, Any] = {"max_loss": "60%", "time": "600s", "techniques": ("drop_members",), "inline": True}
    told: list[Event] = []

    def full(*_: Any, **__: Any) -> Any:
        raise StorageFailed("the disk is full")

    parent.compress(watch=told.append, **settings)
    assert "compress.judged-again" not in {each.name for each in told}
    parent.compress(watch=told.append, **settings)
    (again,) = [each for each in told if each.name == "compress.judged-again"]
    assert again.facts == {"runs": 2} and "10 %" in again.message
    assert client.frontier_of(parent).runs == 2
    before = client._place(parent).read_bytes()
    monkeypatch.setattr("aias.client.model.publish_one", full)
    with pytest.raises(StorageFailed):
        parent.compress(watch=told.append, **settings)
    assert client._place(parent).read_bytes() == before  # what was not published is not said to be
    [runs] = client._place(parent).parent.glob("*.runs")
    assert runs.stat().st_size == 3  # the rows were opened, whatever came of it


def test_rows_that_judge_are_not_taught_on_besides(parent: aias.Model, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[Event] = []
    taught, extra = distill.taught, set[int]()

    def noted(context: Any, size: Any, fold: int) -> Any:
        extra.add(context.extra.rows if context.extra else 0)
        return taught(context, size, fold)

    monkeypatch.setattr(distill, "taught", noted)
    monkeypatch.setattr(job, "repaired", lambda *_, **__: [])
    settings: dict[str, Any] = {"max_loss": "20%", "time": "602s", "techniques": ("distill",), "inline": True}
    for rows, new in ((amounts().drop("y"), 0), (pl.concat([amounts(), amounts(300)]).drop("y"), 300)):
        extra.clear()
        parent.compress(unlabelled=rows, watch=told.append, **settings)
        assert extra == {new}
        assert told.pop(next(i for i, each in enumerate(told) if each.name == "compress.known-rows")).facts == {
            "rows": 1_500, "of": 1_500 + new,
        }  # fmt: skip


def test_what_was_taught_on_rows_without_labels_is_found_again_with_these_rows_alone(parent: aias.Model) -> None:
    rows = amounts(300).drop("y")
    settings: dict[str, Any] = {"max_loss": "60%", "time": "600s", "techniques": ("distill",), "inline": True}
    found = parent.compress(unlabelled=rows, **settings)
    assert found.better, found.frontier.verdict
    child = found.model

    for other in (None, rows[:200]):
        with pytest.raises(UserError, match="taught on rows without labels") as refused:
            child.compress(unlabelled=other, **settings)
        assert "--unlabelled" in (refused.value.hint or "")

    assert child.compress(unlabelled=rows, **settings).frontier.ref == child.ref


def test_what_was_not_taught_does_not_need_the_rows_without_labels_again(parent: aias.Model) -> None:
    settings: dict[str, Any] = {"max_loss": "60%", "time": "600s", "inline": True}
    child = parent.compress(unlabelled=amounts(300).drop("y"), techniques=("drop_members",), **settings).model

    assert child.compress(techniques=("smaller_model",), **settings).frontier.ref == child.ref


def test_a_run_that_was_broken_off_does_not_take_what_other_rows_taught(
    parent: aias.Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[str] = []
    taught = distill.taught

    def noted(context: Any, size: Any, fold: int) -> Any:
        made.append(str(size))
        return taught(context, size, fold)

    def killed(*_: Any, **__: Any) -> Any:
        raise KeyboardInterrupt

    monkeypatch.setattr(distill, "taught", noted)
    monkeypatch.setattr(Assurance, "nominate", killed)
    monkeypatch.setattr(job, "repaired", lambda *_, **__: [])  # which of them are, their speed decides
    settings: dict[str, Any] = {"max_loss": "20%", "time": "601s", "techniques": ("distill",), "inline": True}
    for rows in (None, amounts(300).drop("y"), amounts(200).drop("y")):
        made.clear()
        with pytest.raises(KeyboardInterrupt):
            parent.compress(unlabelled=rows, **settings)
        assert set(made) == {str(size) for size in distill.SIZES}


def test_a_run_that_was_broken_off_goes_on_where_it_was(
    home: Path, parent: aias.Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[str] = []
    taught = distill.taught

    def noted(context: Any, size: Any, fold: int) -> Any:
        made.append(f"{size} {fold}")
        return taught(context, size, fold)

    def killed(*_: Any, **__: Any) -> Any:
        raise KeyboardInterrupt

    monkeypatch.setattr(distill, "taught", noted)
    settings: dict[str, Any] = {"max_loss": "20%", "time": "600s", "techniques": ("distill",), "inline": True}
    with monkeypatch.context() as broken, pytest.raises(KeyboardInterrupt):
        broken.setattr(Assurance, "nominate", killed)
        parent.compress(**settings)
    searched = len(made)
    assert searched > 0

    parent.compress(**settings)

    again = made[searched:]
    assert not set(again) & set(made[:searched])


def test_a_run_that_was_stopped_goes_on_where_it_was(parent: aias.Model, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[str] = []
    searched: list[str] = []
    taught, stop = distill.taught, threading.Event()

    def noted(context: Any, size: Any, fold: int) -> Any:
        made.append(f"{size} {fold}")
        return taught(context, size, fold)

    def stopping(event: Event) -> None:
        if event.name == "compress.candidate" and not stop.is_set():
            searched.extend(made)
            stop.set()

    monkeypatch.setattr(distill, "taught", noted)
    settings: dict[str, Any] = {"max_loss": "21%", "time": "600s", "techniques": ("distill",), "inline": True}
    first = parent.compress(stop=stop, watch=stopping, **settings)
    assert searched and "it was stopped before its turn" in {each.reason for each in first.frontier.points}
    before = len(made)

    parent.compress(**settings)

    assert made[before:] and not set(made[before:]) & set(searched)


def test_where_there_was_no_time_it_says_so_and_is_no_bad_input(parent: aias.Model) -> None:
    def late(*_: Any, **__: Any) -> Any:
        raise NoTime("there was no time to read the texts of amounts@1 again", hint="give more time")

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(Parent, "prepared", late)
        found = parent.compress(time="5s", inline=True)

    assert not found.better
    assert found.frontier.verdict.startswith("nothing is worth it, because there was no time to read the texts")
    assert [each.state for each in found.frontier.points] == ["parent"]


def test_where_the_rows_cannot_prove_it_nothing_is_published_and_it_says_why(tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    frame = pl.DataFrame({"a": rng.normal(size=300), "b": rng.normal(size=300), "y": rng.choice(["n", "y"], 300)})
    model = aias.train(
        frame, target="y", name="noise", time="600s", folds=4, learners=LEARNERS, search=False, inline=True,
        home=tmp_path,
    )  # fmt: skip

    found = model.compress(data=frame, time="600s", inline=True)

    assert not found.better
    assert found.model is model
    assert found.frontier.verdict.startswith("nothing is worth it")
    assert "rows would be enough" in found.frontier.power
    assert len(aias.models(home=tmp_path)) == 2


def test_what_is_asked_for_bounds_what_is_nominated(parent: aias.Model) -> None:
    found = parent.compress(max_loss="20%", time="600s", size="1kB", techniques=("drop_members",), inline=True)

    assert not found.better
    assert any("that were asked for" in each.reason for each in found.frontier.points)
