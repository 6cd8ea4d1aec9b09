"""What takes some rows a longer way is ranked, bounded and told by what a row takes on average."""

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import polars as pl
import pytest

import tiny_versions
from aias.compress.cascading import going_on, usual
from aias.compress.frontier import cells
from aias.compress.goals import Goals
from aias.compress.job import Job
from aias.compress.techniques.contract import Candidate
from aias.compress.trial import Trial
from aias.data.read import read
from aias.runtimes.latency import longest_seconds, longest_us, paired
from aias.runtimes.onnxruntime import OnnxRuntime
from aias.serving.versions.model import warm


def mixed(sent: float) -> Trial:
    """The parent takes 1,000 µs; a row of five 1,050, the others 50."""
    second = np.tile([50.0, 50.0, 50.0, 50.0, 1_050.0], (10, 4))
    trial = Trial(Candidate("a first, on to b", lambda _: pytest.fail("it is made already"), sent=sent), "cascade")
    trial.alone = trial.together = paired(np.full((10, 20), 1_000.0), second, seed=0)
    trial.size_bytes, trial.smaller = 1_100, 1 / 1.1
    return trial


def test_a_median_of_a_mixture_does_not_decide():
    plain, mixture = mixed(0.0), mixed(0.2)

    assert plain.speed.value == pytest.approx(20)
    assert mixture.speed.value == pytest.approx(4)
    assert mixture.gain < plain.gain / 4
    assert mixture.row_us == pytest.approx(250)


def test_what_holds_two_models_may_be_larger_by_a_third_and_others_may_not():
    plain, mixture, heavy = mixed(0.0), mixed(0.2), mixed(0.2)
    heavy.smaller = 0.7

    assert not plain.helps
    assert mixture.helps
    assert not heavy.helps


@pytest.mark.parametrize(("latency_us", "said"), [(300.0, ""), (200.0, "250.0 µs on average, more than the 200")])
def test_a_bound_of_latency_means_the_average_of_a_mixture(latency_us: float, said: str):
    job: Any = SimpleNamespace(wanted=Goals(latency_us=latency_us))
    found = Job._unwanted(job, mixed(0.2))

    assert (said in found) if said else not found


def test_the_frontier_shows_the_share_that_goes_on_beside_the_average():
    point = mixed(0.2).point("accuracy")

    assert "20×" in cells(point)[5]
    assert "on average 4×" in cells(point)[5]
    assert cells(point)[5].endswith("20 % go on")
    assert "on average" not in cells(mixed(0.0).point("accuracy"))[5]


def test_a_version_is_not_run_on_the_loop_where_its_longer_way_is_too_long_for_it():
    proof = {"proof": {"longest_us": 20_000.0}}
    plain = tiny_versions.MANIFEST
    slow = replace(plain, lineage=replace(plain.lineage, settings=proof))
    files = tiny_versions.files(2.0, golden_of=2.0)

    inline = [warm(OnnxRuntime.from_files(files, each), version="m@1", number=1).tier.inline for each in (plain, slow)]

    assert inline == [True, False]
    assert longest_seconds(slow) == pytest.approx(0.02)


def test_the_longest_row_is_one_that_is_long_each_time():
    spent = {"a": iter([9e-3, 1e-6, 1e-6]), "b": iter([5e-3, 6e-3, 5e-3])}
    clock = [0.0]

    def predict(rows: Any) -> None:
        clock[0] += next(spent[rows[0]["name"]])

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("aias.runtimes.latency.time", SimpleNamespace(perf_counter=lambda: clock[0]))
        runtime: Any = SimpleNamespace(predict=predict)
        assert longest_us(runtime, [{"name": "a"}, {"name": "b"}]) == pytest.approx(5_000)


@pytest.mark.parametrize("count", [300, 5])
def test_rows_to_time_by_are_spread_over_the_table(count: int):
    """A file that is sorted by the lengths of its texts begins with those that take least."""
    dataset = read(pl.DataFrame({"a": [i / 7 for i in range(count)], "y": [i % 3 / 2 for i in range(count)]}))
    context: Any = SimpleNamespace(
        prepared=SimpleNamespace(dataset=dataset), encoder=SimpleNamespace(fields=[SimpleNamespace(name="a")])
    )

    found = [row["a"] for row in usual(context)]

    assert len(found) == min(count, 60) and found == sorted(found)
    assert (found[0], found[-1]) == (0.0, (count - 1) / 7)


@pytest.mark.parametrize("sent", [0.012, 0.02, 0.05, 0.0733, 0.25, 0.3, 0.5])
def test_however_few_rows_are_timed_no_smaller_share_of_them_goes_on(sent: float):
    """Of a parent of 50 ms a row two dozen are asked: none of these went on, where one of fifty does."""
    long = going_on(sent)

    assert (np.cumsum(long) >= sent * np.arange(1, len(long) + 1) - 1e-9).all()
    assert long.mean() == pytest.approx(sent, rel=0.03)
