"""Counts and nanoseconds, by endpoint and version."""

from typing import Any

import msgspec

from aias.serving.http.messages import Reply
from aias.serving.observability.metrics import Metrics
from aias.serving.observability.statistics import Counted, Statistics


def answered(rows: int = 1) -> Reply:
    return Reply(b"", rows=rows, phases=(0.001, 0.002, 0.003))


def only(statistics: Statistics, *known: tuple[str, str]) -> dict[str, Any]:
    (found,) = statistics.of(known)
    return found


def test_rows_requests_and_phases_are_counted_apart() -> None:
    statistics = Statistics(clock=lambda: 1_700_000_000.5)
    statistics.note("churn", "churn@7", answered(3), 0.007, queue=0.001)
    statistics.note("churn", "churn@7", answered(3), 0.007)
    statistics.note("churn", "churn@7", answered(5), 0.007)
    statistics.note("churn", "churn@7", Reply(b"", 400), 0.25)

    found = only(statistics, ("churn", "churn@7"))

    assert (found["inference_count"], found["execution_count"]) == (11, 3)
    assert found["last_inference"] == 1_700_000_000_500
    assert found["inference_stats"] == {
        "success": {"count": 3, "ns": 21_000_000},
        "fail": {"count": 1, "ns": 250_000_000},
        "queue": {"count": 3, "ns": 1_000_000},
        "compute_input": {"count": 3, "ns": 3_000_000},
        "compute_infer": {"count": 3, "ns": 5_000_000},
        "compute_output": {"count": 3, "ns": 9_000_000},
        "cache_hit": {"count": 0, "ns": 0},
        "cache_miss": {"count": 0, "ns": 0},
    }
    sizes = {each["batch_size"]: each["compute_infer"] for each in found["batch_stats"]}
    assert sizes == {3: {"count": 2, "ns": 3_000_000}, 5: {"count": 1, "ns": 2_000_000}}


def test_what_ran_together_is_one_execution_and_its_size_the_rows_of_all() -> None:
    metrics = Metrics()
    for queue in (0.5, 0.3, 0.1):
        metrics.predicted(
            "churn", "churn@7", 2, (0.001, queue + 0.02, 0.003), seconds=queue + 0.1, queue=queue, batch_rows=6
        )
    metrics.executed("churn", "churn@7", 6, 0.02)
    metrics.predicted("churn", "churn@7", 2, (0.001, 0.9 + 0.005, 0.003), seconds=1.0, queue=0.9)
    metrics.predicted("churn", "churn@7", 0, (0.001, 0.0, 0.003), seconds=0.1)

    found = only(metrics.statistics, ("churn", "churn@7"))

    assert (found["inference_count"], found["execution_count"]) == (8, 2)
    assert {name: found["inference_stats"][name] for name in ("queue", "compute_infer")} == {
        "queue": {"count": 5, "ns": 1_800_000_000},
        "compute_infer": {"count": 5, "ns": 65_000_000},
    }
    assert found["batch_stats"] == [
        {
            "batch_size": 2,
            "compute_input": {"count": 1, "ns": 1_000_000},
            "compute_infer": {"count": 1, "ns": 5_000_000},
            "compute_output": {"count": 1, "ns": 3_000_000},
        },
        {
            "batch_size": 6,
            "compute_input": {"count": 1, "ns": 3_000_000},
            "compute_infer": {"count": 1, "ns": 20_000_000},
            "compute_output": {"count": 1, "ns": 9_000_000},
        },
    ]


def test_versions_before_are_told_beside_the_one_that_answers_and_others_are_not() -> None:
    statistics = Statistics()
    statistics.note("churn", "churn@7", answered(), 0.1)
    statistics.note("churn", "churn@10", answered(), 0.1)
    statistics.note("other", "other@1", answered(), 0.1)

    found = list(statistics.of([("churn", "churn@10"), ("never-asked", "m@2")]))

    assert [(each["name"], each["version"], each["inference_count"]) for each in found] == [
        ("churn", "7", 1),
        ("churn", "10", 1),
        ("never-asked", "2", 0),
    ]


def test_what_several_processes_have_counted_is_added_up_from_plain_values() -> None:
    one, other = Statistics(clock=lambda: 1.0), Statistics(clock=lambda: 2.0)
    one.note("churn", "churn@7", answered(3), 0.1)
    other.note("churn", "churn@7", answered(3), 0.2)
    other.note("churn", "churn@7", answered(5), 0.3)
    other.note("churn", "churn@8", Reply(b"", 400), 0.4)

    total = Statistics()
    for each in (one, other):
        total.add(msgspec.json.decode(msgspec.json.encode(each.counted()), type=Counted))

    found, failed = total.of([("churn", "churn@8")])
    assert (found["inference_count"], found["execution_count"], found["last_inference"]) == (11, 3, 2000)
    assert found["inference_stats"]["success"] == {"count": 3, "ns": 600_000_000}  # type: ignore[index]
    assert [each["compute_infer"]["count"] for each in found["batch_stats"]] == [2, 1]  # type: ignore[attr-defined]
    assert failed["inference_stats"]["fail"]["count"] == 1  # type: ignore[index]
    # What was added is not what the others count in.
    assert only(one, ("churn", "churn@7"))["inference_count"] == 3


def test_of_two_models_with_one_number_the_one_that_answers_has_it_and_neither_has_the_others_counts() -> None:
    now = [1.0]
    statistics = Statistics(clock=lambda: now[0])
    for version, rows in (("old@1", 3), ("new@1", 5), ("older@2", 7), ("newer@2", 11)):
        now[0] += 1
        statistics.note("shop", version, answered(rows), 0.1)

    def rows_by_number(known: str) -> dict[str, int]:
        return {each["version"]: each["inference_count"] for each in statistics.of([("shop", known)])}  # type: ignore[misc]

    # Of those that answer no more, the one that was asked last.
    assert rows_by_number("new@1") == {"1": 5, "2": 11}
    assert rows_by_number("old@1") == {"1": 3, "2": 11}


def test_what_an_older_release_has_counted_by_number_is_its_endpoints_own_model() -> None:
    statistics = Statistics()
    statistics.note("churn", "churn@7", answered(3), 0.1)
    told = msgspec.json.encode([("churn", 7, each) for _, _, each in statistics.counted()])
    statistics.add(msgspec.json.decode(told, type=Counted))

    assert only(statistics, ("churn", "churn@7"))["inference_count"] == 6
