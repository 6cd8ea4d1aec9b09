"""Trains with little memory, and says what became of it: `bounded_trainer.py HOME group FOLDER | touch | ask`.

group   FOLDER holds what stands for /proc/self/cgroup (`cgroup`) and /sys/fs/cgroup (`mount`)
touch   workers that fit extra trees take ever more memory; who starts this has put it into a control group
ask     the same of addresses, which are bounded here as `ulimit -v` does
"""

import resource
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from mixed_table import mixed_table

import aias
from aias.core import memory
from aias.core.events import Event
from aias.training.processes import forkserver

HERE = Path(__file__).parent
ROWS = 6_000
LEARNERS = {"linear": {}, "boosted_trees": {"rounds": 20}, "extra_trees": {"trees": 20}}
ADDRESSES = 3_000_000_000
"""Beyond those that it holds when it begins."""


def in_group(folder: Path) -> None:
    read = memory.of_groups
    memory.of_groups = lambda name, version_2, version_1, *_: read(
        name, version_2, version_1, folder / "cgroup", folder / "mount"
    )


def growing(how: str) -> None:
    def start(command: list[str], **settings: Any) -> Any:
        return subprocess.Popen([command[0], str(HERE / "growing_workers.py"), how, *command[3:]], **settings)

    forkserver.subprocess = SimpleNamespace(Popen=start, DEVNULL=subprocess.DEVNULL)


def bound_addresses() -> None:
    held = 1024 * int(Path("/proc/self/status").read_text().split("VmSize:")[1].split()[0])
    resource.setrlimit(resource.RLIMIT_AS, (held + ADDRESSES, held + ADDRESSES))


def watch(event: Event) -> None:
    if event.name in {"train.skipped", "train.sampled", "train.candidate", "train.unit"}:
        print(event.name, event.message, sep="\t", flush=True)


if __name__ == "__main__":
    home, what, *rest = sys.argv[1:]
    if what == "group":
        in_group(Path(*rest))
    else:
        growing(what)
    if what == "ask":
        bound_addresses()
    # Extra trees get columns more, of what the plan says of the answers.
    table = mixed_table(ROWS, "abcdefgh")
    model = aias.train(
        table, target="y", name="m", time=600, folds=3, search=False, learners=LEARNERS, home=home, watch=watch
    )
    print("version", model.ref, sep="\t")
