"""What is known of the server and its model, and requests made from it."""

import json
import math
import struct
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final
from urllib.parse import quote

from aias.testing.inference_v2.checks import Failed, Skipped, Unanswered, expect
from aias.testing.inference_v2.remote import Refused, Remote
from aias.testing.inference_v2.tensors import BINARY_ONLY, Values, from_json, read, write
from aias.testing.inference_v2.wire import Answer, Headers, Wire, strict_json

LENGTH: Final = "Inference-Header-Content-Length"
_GUESSES: Final[Mapping[str, Any]] = {"BYTES": "a", "BOOL": True, "FP16": 0.5, "BF16": 0.5, "FP32": 0.5, "FP64": 0.5}


@dataclass(frozen=True, slots=True)
class Input:
    name: str
    datatype: str
    shape: tuple[int, ...]
    flat: tuple[Any, ...]

    def in_json(self, **changed: Any) -> dict[str, Any]:
        if self.datatype in BINARY_ONLY:
            raise Skipped(f"input `{self.name}` is {self.datatype}, which has no form in JSON")
        own = {"name": self.name, "datatype": self.datatype, "shape": list(self.shape), "data": list(self.flat)}
        return own | changed

    def in_bytes(self, **parameters: Any) -> tuple[dict[str, Any], bytes]:
        raw = write(self.datatype, self.flat)
        head = {"name": self.name, "datatype": self.datatype, "shape": list(self.shape)}
        return head | {"parameters": {"binary_data_size": len(raw)} | parameters}, raw


NOT_NOW: Final = (408, 429, 502, 503, 504)
"""Statuses that say nothing about the request."""

GIVE_A_KEY: Final = "give one that is good with --header 'Authorization: Bearer KEY'"


def check_admitted(answer: Answer, what: str) -> None:
    """Raises `Failed` where a server asks for another key, or for one at all."""
    if answer.status in (401, 403):
        raise Failed(f"it refuses the key for {what} ({answer}); {GIVE_A_KEY}")


class Probe:
    """`example`: a request, in JSON, that the model answers; without it halves, ones and `a` are sent.

    `also`: extensions that are asked for though the server does not claim them. `remote`: its gRPC, where it has one.
    `patience_seconds`: for what several processes tell of each other.
    """

    def __init__(
        self,
        wire: Wire,
        model: str,
        *,
        example: Mapping[str, Any] | None = None,
        also: Sequence[str] = (),
        remote: Remote | None = None,
        patience_seconds: float = 3.0,
    ) -> None:
        self.wire, self.remote, self.patience_seconds = wire, remote, patience_seconds
        self.model, self._example, self._also = model, example, also
        self.path = f"/v2/models/{quote(model, safe='')}"

    def check_admission(self) -> None:
        """Raises `Failed` where every check would only say once more that the key or the model's name is wrong."""
        metadata = self.wire.ask("GET", self.path)
        check_admitted(metadata, f"the metadata of `{self.model}`")
        if metadata.status == 404:
            raise Failed(f"there is no model `{self.model}` ({metadata}); name one with --model")
        check_admitted(self.infer({}), f"`{self.model}`")
        if self.remote is None:
            return
        try:
            self.remote.call("ModelReady", [(1, self.model)])
        except Refused as refusal:
            if refusal.code in {"UNAUTHENTICATED", "PERMISSION_DENIED"}:
                raise Failed(f"over gRPC it refuses the key ({refusal}); {GIVE_A_KEY}") from None
            if refusal.code == "UNAVAILABLE":
                raise Failed(f"over gRPC nobody answers ({refusal})") from None

    def check_answered(self) -> None:
        """Raises `Unanswered` where the very first plain request is refused, be it made up or the example; `Failed`
        where the model answers nothing at all just now."""
        try:
            inputs = self.inputs()
            heads = [each.in_bytes()[0] for each in inputs]
        except (Failed, KeyError, TypeError, ValueError, AttributeError, struct.error) as fault:
            if self._example is None:
                return  # that its metadata cannot be read is for their checks to tell
            raise Unanswered(f"the example is no request: {type(fault).__name__}: {fault}") from None
        in_bytes = any(head["datatype"] in BINARY_ONLY for head in heads)
        answer = self.infer_bytes(inputs) if in_bytes else self.infer_json(inputs)
        if answer.status == 200:
            return
        if answer.status in NOT_NOW:
            raise Failed(f"`{self.model}` answers nothing just now ({answer})")
        what = "a request that was made up" if self._example is None else "the request that --request gives"
        said = answer.body[:2_000].decode("utf-8", "replace")
        with suppress(Failed):
            said = answer.error
        how = "give one that it answers with --request FILE"
        raise Unanswered(f"`{self.model}` does not answer {what}: {answer.status}, {said}; {how}")

    @cached_property
    def extensions(self) -> Sequence[str]:
        answer, found = self.wire.ask("GET", "/v2"), None
        # That it says nothing which can be read is for the check of its metadata to tell.
        with suppress(Failed):
            found = answer.json if answer.status == 200 else None
        claimed = found.get("extensions") if isinstance(found, dict) else None
        return [*self._also, *(claimed if isinstance(claimed, list) else ())]

    @cached_property
    def metadata(self) -> Any:
        answer = self.wire.ask("GET", self.path)
        if answer.status != 200:
            raise Failed(f"the metadata of `{self.model}` cannot be read: {answer}")
        return answer.json

    @property
    def output_names(self) -> list[str]:
        return [each["name"] for each in self.metadata["outputs"]]

    @property
    def takes_rows(self) -> bool:
        """Whether the first dimension of every tensor is open, so that it counts rows."""
        tensors = [*self.metadata["inputs"], *self.metadata["outputs"]]
        return all(each["shape"] and each["shape"][0] == -1 for each in tensors)

    def inputs(self, rows: int | None = None) -> list[Input]:
        """The example; or its first row so many times. Raises `Skipped` for a model that has no rows."""
        if rows is not None and not self.takes_rows:
            raise Skipped("the model's first dimension is fixed")
        return [each if rows is None else _repeated(each, rows) for each in self._given()]

    def infer(self, request: Mapping[str, Any] | bytes, headers: Headers = (), *, path: str = "/infer") -> Answer:
        body = request if isinstance(request, bytes) else json.dumps(request).encode()
        return self.wire.ask("POST", self.path + path, body, headers)

    def infer_json(self, inputs: Sequence[Input] | None = None, **more: Any) -> Answer:
        return self.infer({"inputs": [each.in_json() for each in inputs or self.inputs()], **more})

    def infer_bytes(self, inputs: Sequence[Input] | None = None, **more: Any) -> Answer:
        body, length = self.binary_body(inputs or self.inputs(), **more)
        return self.infer(body, [(LENGTH, str(length))])

    def binary_body(self, inputs: Sequence[Input], **more: Any) -> tuple[bytes, int]:
        """The body, and how much of it is JSON."""
        parts = [each.in_bytes() for each in inputs]
        head = json.dumps({"inputs": [head for head, _ in parts], **more}).encode()
        return head + b"".join(raw for _, raw in parts), len(head)

    def outputs(self, answer: Answer) -> dict[str, Values]:
        """The outputs of a reply in either form. Raises `Failed` when head and bytes do not fit together."""
        made_up = "" if self._example else " to a request that was made up (--request gives one that the model answers)"
        expect(answer.status == 200, f"200{made_up}", answer)
        given = answer.headers.get(LENGTH.lower())
        length = len(answer.body) if given is None else int(given)
        head, tail = strict_json(answer.body[:length]), answer.body[length:]
        found: dict[str, Values] = {}
        for output in head["outputs"]:
            size = (output.get("parameters") or {}).get("binary_data_size")
            if size is None:
                found[output["name"]] = from_json(output)
            else:
                expect(len(tail) >= size, f"{size} bytes of `{output['name']}`", f"{len(tail)} bytes")
                shape, raw, tail = tuple(output["shape"]), tail[:size], tail[size:]
                values = read(output["datatype"], raw, math.prod(shape))
                found[output["name"]] = Values(output["datatype"], shape, values)
        expect(not tail, "nothing behind the last output", f"{len(tail)} bytes")
        return found

    def refuses(self, request: Mapping[str, Any] | bytes, headers: Headers = (), *, what: str = "") -> str:
        """The words of the refusal. Raises `Failed` unless it is one."""
        try:
            return self.infer(request, headers).error
        except Failed as fault:
            raise Failed(f"{what}: {fault}" if what else str(fault)) from None

    def _given(self) -> list[Input]:
        if self._example is not None:
            return [
                Input(each["name"], each["datatype"], tuple(each["shape"]), from_json(each).flat)
                if each["datatype"] != "BYTES"
                else Input(each["name"], "BYTES", tuple(each["shape"]), tuple(each["data"]))
                for each in self._example["inputs"]
            ]
        return [_guessed(each) for each in self.metadata["inputs"]]


def _guessed(tensor: Mapping[str, Any]) -> Input:
    shape = tuple(1 if size < 0 else size for size in tensor["shape"])
    value = _GUESSES.get(tensor["datatype"], 1)
    return Input(tensor["name"], tensor["datatype"], shape, (value,) * math.prod(shape))


def _repeated(one: Input, rows: int) -> Input:
    width = math.prod(one.shape[1:])
    return Input(one.name, one.datatype, (rows, *one.shape[1:]), one.flat[:width] * rows)
