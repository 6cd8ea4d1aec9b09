"""Health and metadata: the first things that clients ask."""

from typing import Any

from aias.testing.inference_v2.checks import Failed, Section, expect
from aias.testing.inference_v2.probe import Probe
from aias.testing.inference_v2.tensors import DATATYPES
from aias.testing.inference_v2.wire import Answer

health, metadata = Section("health"), Section("metadata")

NOWHERE = "/v2/models/there-is-no-such-model-here"


@health.must
def a_live_server_says_200_and_either_nothing_or_live(probe: Probe) -> None:
    _healthy(probe.wire.ask("GET", "/v2/health/live"), {"live"})


@health.must
def a_ready_server_says_200_and_either_nothing_or_ready(probe: Probe) -> None:
    # The specification prints `live` here too.
    _healthy(probe.wire.ask("GET", "/v2/health/ready"), {"ready", "live"})


@health.must
def a_ready_model_says_200_and_either_nothing_or_ready(probe: Probe) -> None:
    _healthy(probe.wire.ask("GET", f"{probe.path}/ready"), {"ready"})


@health.must
def a_version_that_metadata_names_is_ready(probe: Probe) -> None:
    for version in probe.metadata.get("versions") or ():
        _healthy(probe.wire.ask("GET", f"{probe.path}/versions/{version}/ready"), {"ready"})


@health.must
def an_unknown_model_is_not_ready(probe: Probe) -> None:
    answer = probe.wire.ask("GET", f"{NOWHERE}/ready")
    expect(400 <= answer.status < 600, "a status that is not 200", answer)


@health.should
def health_is_told_in_json_for_clients_that_read_it(probe: Probe) -> None:
    expect(probe.wire.ask("GET", "/v2/health/live").json == {"live": True}, '{"live": true}', "something else")
    found = probe.wire.ask("GET", "/v2/health/ready").json
    expect(found.get("ready") is True, '{"ready": true}', found)


@metadata.must
def the_server_has_a_name_a_version_and_extensions(probe: Probe) -> None:
    answer = probe.wire.ask("GET", "/v2")
    expect(answer.status == 200, "200", answer)
    found = answer.json
    expect(isinstance(found["name"], str) and found["name"], "a name", found)
    expect(isinstance(found["version"], str), "a version that is a text", found)
    expect(_are_texts(found["extensions"]), "a list of extensions", found)


@metadata.must
def a_model_has_a_name_a_platform_inputs_and_outputs(probe: Probe) -> None:
    found = probe.metadata
    expect(found["name"] == probe.model, f"the name `{probe.model}`", found["name"])
    expect(isinstance(found["platform"], str), "a platform", found)
    expect(_are_texts(found.get("versions") or []), "versions that are texts", found)
    for tensor in [*found["inputs"], *found["outputs"]]:
        expect(isinstance(tensor["name"], str), "a tensor's name", tensor)
        expect(tensor["datatype"] in DATATYPES, f"a datatype of {', '.join(DATATYPES)}", tensor)
        sizes = tensor["shape"]
        expect(
            isinstance(sizes, list) and all(type(size) is int and size >= -1 for size in sizes),
            "a shape of whole numbers, -1 for what is open",
            tensor,
        )


@metadata.must
def a_version_that_metadata_names_has_metadata(probe: Probe) -> None:
    for version in probe.metadata.get("versions") or ():
        answer = probe.wire.ask("GET", f"{probe.path}/versions/{version}")
        expect(answer.status == 200 and answer.json["name"] == probe.model, "200 and the model's name", answer)


@metadata.must
def an_unknown_model_is_refused_with_an_error(probe: Probe) -> None:
    _ = probe.wire.ask("GET", NOWHERE).error


@metadata.should
def an_unknown_model_is_a_404(probe: Probe) -> None:
    answer = probe.wire.ask("GET", NOWHERE)
    expect(answer.status == 404, "404", answer)


@metadata.must
def an_unknown_version_is_refused_with_an_error(probe: Probe) -> None:
    _ = probe.wire.ask("GET", f"{probe.path}/versions/987654321").error


@metadata.must
def a_version_that_is_no_number_is_refused(probe: Probe) -> None:
    for version in ("x", "-1", "1e0", "99999999999999999999999999", "%00"):
        _ = probe.wire.ask("GET", f"{probe.path}/versions/{version}").error


def _healthy(answer: Answer, names: set[str]) -> None:
    expect(answer.status == 200, "200", answer)
    if answer.body:
        found = answer.json
        expect(isinstance(found, dict), "nothing, or a JSON object", answer)
        told = [found[name] for name in names if name in found]
        expect(told and all(each is True for each in told), f"nothing, or one of {sorted(names)} being true", found)


def _are_texts(found: Any) -> bool:
    if not isinstance(found, list):
        raise Failed(f"expected a list; came {found!r}")
    return all(isinstance(each, str) for each in found)
