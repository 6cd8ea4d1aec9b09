"""The command line as a shell sees it: arguments in; status, stdout and stderr out."""

import csv
import random
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from aias.cli.main import main
from shell import Done, Run


@pytest.fixture
def run(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    def call(*arguments: object) -> Done:
        monkeypatch.setattr(sys, "argv", ["aias", *map(str, arguments)])
        capfd.readouterr()
        with pytest.raises(SystemExit) as end:
            main()
        said = capfd.readouterr()
        assert isinstance(end.value.code, int)
        return Done(end.value.code, said.out, said.err)

    return call


@pytest.fixture(scope="session")
def churn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """300 customers; who is young and on the basic plan leaves."""
    rng = random.Random(0)
    path = tmp_path_factory.mktemp("data") / "churn.csv"
    with path.open("w", newline="") as file:
        out = csv.writer(file)
        out.writerow(["age", "plan", "left"])
        for _ in range(300):
            age, plan = rng.randint(18, 90), rng.choice(["basic", "pro"])
            out.writerow([age, plan, "yes" if (age < 50 and plan == "basic") == (rng.random() < 0.95) else "no"])
    return path


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory, churn: Path) -> Path:
    """A home with `churn@1`, a quality form, and `churn@2`, the serving form made from it."""
    import aias

    home = tmp_path_factory.mktemp("home")
    aias.train(churn, target="left", learners=("linear",), seed=1, time=600, home=home, inline=True)
    return home


@pytest.fixture
def home(trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A copy of the trained home that a test may change; also where the command line looks."""
    copy = tmp_path / "home"
    shutil.copytree(trained, copy)
    monkeypatch.setenv("AIAS_HOME", str(copy))
    yield copy
    for folder in (copy, *copy.rglob("*/")):  # sealed artifacts are read-only
        folder.chmod(0o700)


@pytest.fixture
def empty_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("AIAS_HOME", str(tmp_path / "empty"))
    return tmp_path / "empty"
