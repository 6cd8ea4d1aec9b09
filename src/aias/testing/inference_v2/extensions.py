"""What a server may have beyond the protocol; it is asked for only what it claims."""

import time
from typing import Any, Final

from aias.testing.inference_v2.checks import Section, Skipped, expect
from aias.testing.inference_v2.probe import Probe
from aias.testing.inference_v2.tensors import Values

statistics = Section("statistics", extension="statistics")
configuration = Section("configuration", extension="model_configuration")
repository = Section("repository", extension="model_repository")
classification = Section("classification", extension="classification")

_FAILURES: Final = 20
_PAUSE_SECONDS: Final = 0.1


@statistics.must
def an_answered_request_is_counted(probe: Probe) -> None:
    before = _statistics(probe)
    probe.outputs(probe.infer_json())
    rows = probe.inputs()[0].shape[0] if probe.takes_rows else 1
    after, until = _statistics(probe), time.monotonic() + probe.patience_seconds
    # Of several processes one may tell what another has counted a moment later.
    while _count(after, "success") <= _count(before, "success") and time.monotonic() < until:
        time.sleep(_PAUSE_SECONDS)
        after = _statistics(probe)
    # What comes from a cache is no inference.
    inferred, hits = (of(after) - of(before) for of in (_inferences, _hits))
    expect(inferred >= rows or hits >= 1, f"{rows} more, or one more hit of a cache", [before, after])
    expect(_count(after, "success") > _count(before, "success"), "one more success", [before, after])
    expect(_last(after) >= _last(before), "a later time", [before, after])


@statistics.must
def failed_requests_are_no_successes(probe: Probe) -> None:
    before = _statistics(probe)
    for _ in range(_FAILURES):
        probe.refuses({"inputs": 3})
    grown = _count(_statistics(probe), "success") - _count(before, "success")
    expect(grown < _FAILURES, f"fewer than {_FAILURES} more successes", grown)


@statistics.must
def every_duration_has_a_count_and_nanoseconds(probe: Probe) -> None:
    for version in _statistics(probe):
        for name in ("success", "fail", "queue", "compute_input", "compute_infer", "compute_output"):
            found = version["inference_stats"][name]
            expect(type(found["count"]) is int and type(found["ns"]) is int, f"count and ns of {name}", found)


@statistics.must
def all_models_are_counted_in_one_answer(probe: Probe) -> None:
    answer = probe.wire.ask("GET", "/v2/models/stats")
    expect(answer.status == 200, "200", answer)
    names = [each["name"] for each in answer.json["model_stats"]]
    expect(probe.model in names, f"`{probe.model}`", names)


@configuration.must
def the_configuration_names_the_tensors_of_the_metadata(probe: Probe) -> None:
    answer = probe.wire.ask("GET", f"{probe.path}/config")
    expect(answer.status == 200, "200", answer)
    found = answer.json
    expect(found["name"] == probe.model, f"the name `{probe.model}`", found["name"])
    for kind in ("input", "output"):
        wanted = {each["name"]: each for each in probe.metadata[f"{kind}s"]}
        expect({each["name"] for each in found[kind]} == set(wanted), f"the {kind}s {sorted(wanted)}", found[kind])
        for each in found[kind]:
            tensor = wanted[each["name"]]
            expect(each["data_type"] == _config_type(tensor["datatype"]), tensor["datatype"], each)
            shape = tensor["shape"][1:] if found["max_batch_size"] > 0 else tensor["shape"]
            expect([int(size) for size in each["dims"]] == shape, f"the dims {shape}", each)


@repository.must
def the_index_has_the_model_and_its_state(probe: Probe) -> None:
    for body in (b"{}", b'{"ready": true}'):
        answer = probe.wire.ask("POST", "/v2/repository/index", body)
        expect(answer.status == 200, "200", answer)
        found = [each for each in answer.json if each["name"] == probe.model]
        expect(found and found[0]["state"] == "READY", f"`{probe.model}` as READY", answer)


@repository.must
def a_filter_of_another_type_is_refused(probe: Probe) -> None:
    for body in (b'{"ready": "yes"}', b'{"ready": 1}', b"[]", b"{"):
        _ = probe.wire.ask("POST", "/v2/repository/index", body).error


@repository.must
def what_is_not_in_the_repository_cannot_be_loaded(probe: Probe) -> None:
    for name in ("there-is-no-such-model-here", "..%2F..%2Fetc", "%2e%2e", "a%00b", "~", "x" * 5_000):
        _ = probe.wire.ask("POST", f"/v2/repository/models/{name}/load", b"{}").error


@classification.should
def the_best_classes_come_with_score_and_index(probe: Probe) -> None:
    plain = probe.outputs(probe.infer_json())
    name = next((name for name, values in plain.items() if _has_classes(values)), None)
    if name is None:
        raise Skipped("no output holds scores of classes")
    outputs = [{"name": name, "parameters": {"classification": 2}}]
    values = probe.outputs(probe.infer_json(outputs=outputs))[name]
    expect(values.datatype == "BYTES", "BYTES", values)
    best = values.flat[0].decode().split(":")
    scores = plain[name].flat[: plain[name].shape[-1]]
    expect(int(best[1]) == max(range(len(scores)), key=scores.__getitem__), "the index of the highest score", best)


def _has_classes(values: Values) -> bool:
    return values.datatype in ("FP32", "FP64") and len(values.shape) == 2 and values.shape[1] > 1


def _statistics(probe: Probe) -> list[Any]:
    """Of every version: which of them answers, no version says."""
    answer = probe.wire.ask("GET", f"{probe.path}/stats")
    expect(answer.status == 200, "200", answer)
    found: list[Any] = answer.json["model_stats"]
    expect(bool(found), "one version at least", answer)
    return found


def _count(found: list[Any], name: str) -> int:
    return sum(int(each["inference_stats"][name]["count"]) for each in found)


def _hits(found: list[Any]) -> int:
    return sum(int(each["inference_stats"].get("cache_hit", {"count": 0})["count"]) for each in found)


def _inferences(found: list[Any]) -> int:
    return sum(int(each["inference_count"]) for each in found)


def _last(found: list[Any]) -> int:
    return max(int(each["last_inference"]) for each in found)


def _config_type(datatype: str) -> str:
    return "TYPE_STRING" if datatype == "BYTES" else f"TYPE_{datatype}"
