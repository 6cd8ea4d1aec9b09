"""A version becomes smaller where that is proved, and is left alone where it is not."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest
from click.testing import CliRunner

import aias
from aias.artifact.manifest import read_manifest
from aias.cli.main import aias as command_line
from aias.compress.frontier import read_frontier
from aias.core.errors import NotFound, UserError
from aias.core.events import Event


def amounts(rows: int = 1_500) -> pl.DataFrame:
    """What takes trees, but not many; with some noise."""
    rng = np.random.default_rng(0)
    a, b = rng.uniform(-1, 1, (2, rows))
    colour = rng.choice(["red", "green", "blue"], rows)
    y = 2.0 * (a * b > 0) + (colour == "red") + rng.normal(size=rows) / 3
    return pl.DataFrame({"a": a, "b": b, "colour": colour, "y": y})


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("home")


@pytest.fixture(scope="module")
def parent(home: Path) -> aias.Model:
    file = home / "amounts.csv"
    amounts().write_csv(file)
    trained = aias.train(
        file, target="y", name="amounts", time="10s", folds=4, learners=("boosted_trees",), inline=True, home=home
    )
    return trained.quality


def test_an_ensemble_becomes_smaller_and_faster_with_its_proof(home: Path, parent: aias.Model) -> None:
    told: list[Event] = []

    found = parent.compress(max_loss="20%", time="60s", inline=True, watch=told.append)

    assert found.better
    assert found.model.ref == "amounts@3"
    manifest = found.model.manifest
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
    assert all(each.reason for each in found.frontier.points if each.state == "fell")
    assert {"compress.power", "compress.candidate", "compress.verdict"} <= {event.name for event in told}
    new = amounts(200)
    gap = found.model.predict(new.drop("y")) - parent.predict(new.drop("y"))
    assert np.abs(gap).mean() < 0.3


def test_the_frontier_is_kept_with_the_version_and_beside_its_parent(home: Path, parent: aias.Model) -> None:
    child = aias.load("amounts@3", home=home)

    assert child.frontier() == parent.frontier()
    assert read_frontier((child.folder / "frontier.json").read_bytes()) == child.frontier()
    card = (child.folder / "card.md").read_text("utf-8")
    assert "## Frontier" in card
    assert "plots/frontier.svg" in card
    assert (child.folder / "plots" / "frontier.svg").read_bytes().startswith(b"<svg")
    assert read_manifest((child.folder / "manifest.json").read_bytes()).form == "compressed"
    with pytest.raises(NotFound, match="not been compressed"):
        aias.load("amounts@2", home=home).frontier()


def test_the_frontier_is_shown_as_a_table_as_markdown_and_as_json(home: Path, parent: aias.Model) -> None:
    shell = CliRunner(env={"AIAS_HOME": str(home), "COLUMNS": "200"})
    flags = ("", "--markdown", "--json")
    shown = {flag: shell.invoke(command_line, ["frontier", parent.ref, *flag.split()]) for flag in flags}

    assert [each.exit_code for each in shown.values()] == [0, 0, 0]
    assert "do nothing" in shown[""].output
    assert "| candidate | by |" in shown["--markdown"].output
    assert '"verdict"' in shown["--json"].output


def test_what_is_compressed_is_not_gone_on_from(home: Path, parent: aias.Model) -> None:
    child = aias.load("amounts@3", home=home)

    with pytest.raises(UserError, match="compressed already"):
        child.compress(inline=True)
    with pytest.raises(UserError, match="compressed already"):
        child.optimize(inline=True)


def test_where_the_rows_cannot_prove_it_nothing_is_published_and_it_says_why(tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    frame = pl.DataFrame({"a": rng.normal(size=300), "b": rng.normal(size=300), "y": rng.choice(["n", "y"], 300)})
    learners = ("boosted_trees",)
    model = aias.train(
        frame, target="y", name="noise", time="5s", folds=4, learners=learners, inline=True, home=tmp_path
    )

    found = model.compress(data=frame, time="15s", inline=True)

    assert not found.better
    assert found.model is model
    assert found.frontier.verdict.startswith("nothing is worth it, because")
    assert "rows would be enough" in found.frontier.power
    assert len(aias.models(home=tmp_path)) == 2


def test_what_is_asked_for_bounds_what_is_nominated(parent: aias.Model) -> None:
    found = parent.compress(max_loss="20%", time="15s", size="1kB", inline=True)

    assert not found.better
    assert any("that were asked for" in each.reason for each in found.frontier.points)
