"""Trainings with little memory: what there is no room for is fitted on fewer rows or left out, what grows beyond it is
ended, and there is a model in the end."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

import artifacts
from aias.core.cpus import MOUNT, PROC, cpus
from aias.training.processes.memory import PROCESS_BYTES

TRAINER = Path(__file__).parent / "bounded_trainer.py"

LIMIT_BYTES = 1_000_000_000
GROWING_LIMIT_BYTES = 700_000_000
"""For a trainer, its zygotes and a worker as large as one is thought to be; what grows is beyond it in seconds."""

LIMITS = ("memory.limit_in_bytes", "memory.max")


def trained(home: Path, *what: object, before: Callable[[], None] | None = None) -> list[list[str]]:
    """What was said, in its order: kinds and messages."""
    done = subprocess.run(
        [sys.executable, TRAINER, home, *map(str, what)], capture_output=True, text=True, timeout=300,
        env=artifacts.importable(), preexec_fn=before,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return [line.split("\t") for line in done.stdout.splitlines()]


def of(told: list[list[str]], kind: str) -> list[str]:
    return [message for name, message in told if name == kind]


@contextmanager
def bounded_group() -> Iterator[Path]:
    """A control group for memory, within the one of this process."""
    for line in PROC.read_text().splitlines():
        _, controllers, group = line.split(":", 2)
        if controllers in {"", "memory"}:
            within = (MOUNT / controllers / group.lstrip("/")) / f"aias-test-{os.getpid()}"
            try:
                within.mkdir()
            except OSError:
                continue
            try:
                for limit in (within / name for name in LIMITS if (within / name).exists()):
                    limit.write_text(f"{GROWING_LIMIT_BYTES}")
                    yield within
                    return
            finally:
                _remove(within)
    pytest.skip("no control group of memory can be made here")


def join(group: Path) -> None:
    (group / "cgroup.procs").write_text(f"{os.getpid()}")


def _remove(group: Path) -> None:
    """Once all that was in it is gone."""
    for _ in range(100):
        try:
            return group.rmdir()
        except OSError:
            time.sleep(0.1)
    return group.rmdir()


@pytest.mark.parametrize(
    ("left_bytes", "kind", "said"),
    [
        (3_500_000, "train.sampled", "extra_trees is fitted on 1/2 of the rows: there is not enough memory for more"),
        (2_000_000, "train.skipped", "extra_trees is left out: there is not enough memory"),
    ],
)
def test_what_its_group_has_no_room_for_learns_from_fewer_rows_or_is_left_out(
    tmp_path: Path, left_bytes: int, kind: str, said: str
) -> None:
    """`left_bytes`: beyond what every worker takes."""
    (tmp_path / "mount").mkdir()
    (tmp_path / "cgroup").write_text("0::/\n")
    (tmp_path / "mount" / "memory.max").write_text(f"{LIMIT_BYTES}\n")
    (tmp_path / "mount" / "memory.current").write_text(f"{LIMIT_BYTES - PROCESS_BYTES - left_bytes:.0f}\n")

    told = trained(tmp_path / "home", "group", tmp_path)

    assert of(told, "train.sampled") + of(told, "train.skipped") == [said]
    assert of(told, kind) == [said]
    learners = {message.split(":")[0] for message in of(told, "train.candidate")}
    assert learners - {"extra_trees, 1/2 of the rows"} == {"linear", "boosted_trees"}
    assert of(told, "version") == ["m@2"]


def test_a_worker_that_grows_beyond_its_group_is_ended_and_others_train_on(tmp_path: Path) -> None:
    with bounded_group() as group:
        told = trained(tmp_path, "touch", before=lambda: join(group))

    assert of(told, "train.skipped") == ["extra_trees is left out: it ran out of memory"]
    assert {message.split(":")[0] for message in of(told, "train.candidate")} == {"linear", "boosted_trees"}
    assert of(told, "version") == ["m@2"]
    fitting, ended = set[str](), False
    for kind, message in told:
        ended = ended or kind == "train.skipped"
        unit, _, what = message.rpartition(": ")
        if kind == "train.unit" and what == "begun":
            fitting.add(unit)
            assert not ended or len(fitting) <= max(1, cpus() - 1)
        elif kind == "train.unit":
            fitting.remove(unit)


def test_a_worker_that_asks_for_more_than_ulimit_allows_is_left_out_and_others_train_on(tmp_path: Path) -> None:
    told = trained(tmp_path, "ask")
    assert of(told, "train.skipped") == ["extra_trees is left out: there was not enough memory"]
    assert {message.split(":")[0] for message in of(told, "train.candidate")} == {"linear", "boosted_trees"}
    assert of(told, "version") == ["m@2"]
