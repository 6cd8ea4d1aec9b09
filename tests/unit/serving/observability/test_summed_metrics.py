"""Counts of several workers: added up, settled, never falling."""

import re
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from aias.serving.http.messages import Reply
from aias.serving.observability import summed_metrics as sums
from aias.serving.observability.metrics import BUCKETS_SECONDS, Histogram, Metrics
from aias.serving.observability.summed_metrics import Counts, SummedMetrics


def counted(endpoint: str, times: int) -> Metrics:
    metrics = Metrics()
    metrics.loaded, metrics.tiers, metrics.open_connections = (
        lambda: [(endpoint, "m@1")], lambda: [(endpoint, "inline")], lambda: 3,
    )  # fmt: skip
    for _ in range(times):
        metrics.predicted(endpoint, "m@1", 2, (0.1, 0.2, 0.3), seconds=0.7, queue=0.05)
        metrics.refused("serving.busy", endpoint, "m@1")
    return metrics


def test_the_counts_of_all_workers_are_added_up(tmp_path: Path) -> None:
    here, there = counted("a", 2), counted("a", 3)
    SummedMetrics(tmp_path, "1").write(there)

    total = SummedMetrics(tmp_path, "0").total(here)

    assert total.requests["a", "m@1", 200] == 5
    work = total.work["a", "m@1"]
    assert (work.rows, sum(work.whole.counts), round(work.whole.sum, 9)) == (10, 5, 3.5)
    assert total.refusals["serving.busy", "a", "m@1"] == 5
    assert sum(work.phases[3].counts) == 5
    assert round(work.phases[1].sum, 9) == 0.75
    # Of all the buckets the one that 0.15 s belong to.
    assert work.phases[1].counts.index(5) == BUCKETS_SECONDS.index(0.25)
    assert (sum(total.batches["a", "m@1"].counts), total.batches["a", "m@1"].sum) == (5, 10)
    assert total.open_connections() == 6
    assert total.loaded() == [("a", "m@1")]
    assert here.requests["a", "m@1", 200] == 2
    assert b'aias_requests_total{endpoint="a",status="200",version="m@1"} 5.0' in total.text()


def test_what_one_worker_has_shown_another_shows_too(tmp_path: Path) -> None:
    first, second = SummedMetrics(tmp_path, "0"), SummedMetrics(tmp_path, "1")
    busy, idle = counted("a", 2), Metrics()
    shown = first.total(busy).requests["a", "m@1", 200]

    assert second.total(idle).requests["a", "m@1", 200] == shown


def test_what_has_ended_is_settled_and_no_counter_falls(tmp_path: Path) -> None:
    server, here = Counts(str(tmp_path)), Metrics()
    names = [server.name() for _ in range(3)]
    for times, name in enumerate(names, 1):
        SummedMetrics(tmp_path, name).write(counted("a", times))

    for name in names[:2]:
        server.settle([name])
    total = SummedMetrics(tmp_path, "other").total(here)

    assert total.requests["a", "m@1", 200] == 6
    assert total.work["a", "m@1"].rows == 12
    # Who was killed has no connections any more.
    assert total.open_connections() == 3
    assert len(list(tmp_path.glob("*.json"))) == 3


def test_who_reads_while_files_become_one_counts_each_once(tmp_path: Path) -> None:
    server = Counts(str(tmp_path))
    ended, left = server.name(), counted("a", 4)
    SummedMetrics(tmp_path, ended).write(left)

    server.settle([ended])
    # As it is after the one file was written, and before the other is taken away.
    SummedMetrics(tmp_path, ended).write(left)

    assert SummedMetrics(tmp_path, "other").total(Metrics()).requests["a", "m@1", 200] == 4


def test_a_file_that_has_become_part_of_another_while_it_was_read_is_looked_for_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server, read = Counts(str(tmp_path)), sums._read
    ended = server.name()
    SummedMetrics(tmp_path, ended).write(counted("a", 4))

    def late(path: Path) -> object:
        if path.name == f"{ended}.json" and path.exists():
            monkeypatch.setattr(sums, "_read", read)
            server.settle([ended])
        return read(path)

    monkeypatch.setattr(sums, "_read", late)

    assert SummedMetrics(tmp_path, "other").total(Metrics()).requests["a", "m@1", 200] == 4


def test_a_server_that_takes_over_goes_on_from_what_the_other_has_settled(tmp_path: Path) -> None:
    before, after = two_servers(tmp_path)
    ended = before.name()
    SummedMetrics(tmp_path, ended).write(counted("a", 4))
    before.settle([ended])

    after.inherit(7)
    after.inherit(7)

    assert SummedMetrics(tmp_path, "other").total(counted("a", 1)).requests["a", "m@1", 200] == 5
    left = sorted(path.name for path in tmp_path.glob("*.json"))
    assert [re.sub("-.{8}-", "-", name) for name in left] == ["8-gone.json", "other.json"]


def test_of_a_server_that_was_killed_counts_stay_and_what_it_had_does_not(tmp_path: Path) -> None:
    before, after = two_servers(tmp_path)
    orphan, own = SummedMetrics(tmp_path, before.name()), after.name()
    orphan.write(counted("a", 4))
    SummedMetrics(tmp_path, own).write(counted("a", 2))

    after.inherit(7)
    total = SummedMetrics(tmp_path, "other").total(Metrics())
    assert (total.requests["a", "m@1", 200], total.open_connections()) == (6, 3)

    # Its worker lives a little longer, and writes once more; one of the other server ends.
    orphan.write(counted("a", 5))
    after.settle([own])
    total = SummedMetrics(tmp_path, "other").total(Metrics())
    assert (total.requests["a", "m@1", 200], total.open_connections()) == (6, 0)


def test_who_takes_over_from_who_took_over_does_not_count_the_first_twice(tmp_path: Path) -> None:
    first, second = two_servers(tmp_path)
    third, orphan = Counts(str(tmp_path), 9), SummedMetrics(tmp_path, first.name())
    orphan.write(counted("a", 4))
    second.inherit(7)
    orphan.write(counted("a", 5))

    third.inherit(8)

    assert SummedMetrics(tmp_path, "other").total(Metrics()).requests["a", "m@1", 200] == 4


def test_servers_whose_processes_have_the_same_number_keep_each_others_counts(tmp_path: Path) -> None:
    before, after = Counts(str(tmp_path), 1), Counts(str(tmp_path), 1)
    old, new = before.name(), after.name()
    SummedMetrics(tmp_path, old).write(counted("a", 4))
    SummedMetrics(tmp_path, new).write(counted("a", 1))
    assert SummedMetrics(tmp_path, "other").total(Metrics()).requests["a", "m@1", 200] == 5

    before.settle([old])
    after.inherit(1)
    after.settle([new])

    assert SummedMetrics(tmp_path, "other").total(Metrics()).requests["a", "m@1", 200] == 5
    assert len(list(tmp_path.glob("*-gone.json"))) == 1


def two_servers(folder: Path) -> tuple[Counts, Counts]:
    return Counts(str(folder), 7), Counts(str(folder), 8)


def test_a_file_that_cannot_be_read_is_left_out(tmp_path: Path) -> None:
    (tmp_path / "1.json").write_bytes(b'{"requests": [')
    (tmp_path / "2.new").write_bytes(b"half")

    assert SummedMetrics(tmp_path, "0").total(counted("a", 1)).requests["a", "m@1", 200] == 1


def test_a_full_disk_costs_counts_and_nothing_else(tmp_path: Path) -> None:
    assert SummedMetrics(tmp_path / "gone", "0").total(counted("a", 1)).requests["a", "m@1", 200] == 1


@pytest.mark.parametrize(
    "odd_in",
    [
        lambda odd: odd.work["a", "m@1"].whole,
        lambda odd: odd.work["a", "m@1"].phases[2],
        lambda odd: odd.load_seconds,
    ],
)
def test_buckets_of_another_release_are_left_out_whole(tmp_path: Path, odd_in: Callable[[Metrics], Histogram]) -> None:
    odd = counted("a", 3)
    odd_in(odd).counts.append(1)
    SummedMetrics(tmp_path, "1").write(odd)

    total = SummedMetrics(tmp_path, "0").total(counted("a", 1))

    assert total.requests["a", "m@1", 200] == 1
    assert sum(total.work["a", "m@1"].whole.counts) == 1
    assert sum(total.batches["a", "m@1"].counts) == 1


def test_what_is_counted_while_a_thread_writes_is_in_the_next_snapshot_and_not_in_this_one() -> None:
    metrics = Metrics()

    def all_kinds(rows: int) -> None:
        metrics.answered("churn", "churn@1", 503)
        metrics.refused("serving.busy", "churn", "churn@1")
        metrics.predicted("churn", "churn@1", rows, (0.1, 0.2, 0.3), seconds=0.7, queue=0.1)
        metrics.executed("churn", "churn@1", rows, 0.1)
        metrics.unrun("churn", "churn@1", Reply(b"", phases=None), 0.1)
        metrics.unrun("churn", "churn@1", Reply(b"", phases=(0.1, 0.1, 0.1), rows=rows), 0.1)
        metrics.load_seconds.add(0.1)
        metrics.statistics.failed("churn", "churn@1", 2, 3.0)

    all_kinds(1)
    held = metrics.snapshot()
    before = msgspec.json.encode(held)
    for rows in (1, 2):
        all_kinds(rows)
        metrics.snapshot()

    assert msgspec.json.encode(held) == before
    assert msgspec.json.encode(metrics.snapshot()) != before
