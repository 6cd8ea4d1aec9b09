"""Answers → a reply of the protocol, with tensors in its JSON or behind it."""

import math
from collections.abc import Sequence
from itertools import repeat
from typing import Any, Final

import msgspec
import numpy as np

from aias.runtimes.contract import Answers
from aias.serving.formats.json_answers import FLOAT32, short
from aias.serving.formats.tensors import finite, write_bytes
from aias.serving.http.messages import BINARY, Reply, Request
from aias.serving.inference.descriptions import ENDS
from aias.serving.inference.requests import Form, Inference

PIECE_VALUES: Final = 10_000
"""Of an output that are written at once: a millisecond of them."""


def reply_of(request: Request, inference: Inference, wanted: dict[str, Form], answers: Answers) -> Reply:
    """The outputs that were asked for, in that order."""
    model, parts = request.asked, []
    outputs: list[dict[str, object]] = []
    for name, form in wanted.items():
        output, values, raw = _output(name, form, answers, model.manifest.task.classes)
        if raw is None:
            output["data"] = written(values)
        else:
            output["parameters"] = {"binary_data_size": len(raw)}
            parts.append(raw)
        outputs.append(output)
    answer: dict[str, object] = {"model_name": request.places["endpoint"], "model_version": str(model.number)}
    if inference.id is not None:
        answer["id"] = inference.id
    head = msgspec.json.encode(answer | {"outputs": outputs})
    if not parts:
        return Reply(head)
    length = (b"inference-header-content-length", b"%d" % len(head))
    return Reply(head + b"".join(parts), media_type=BINARY, headers=(length,))


def written(values: Sequence[object]) -> Sequence[object] | msgspec.Raw:
    """As JSON, where they are very many: in pieces, between which other threads have their turn."""
    if len(values) <= PIECE_VALUES:
        return values
    pieces = [msgspec.json.encode(values[at : at + PIECE_VALUES])[1:-1] for at in range(0, len(values), PIECE_VALUES)]
    return msgspec.Raw(b"[" + b",".join(pieces) + b"]")


def _output(
    name: str, form: Form, answers: Answers, classes: tuple[str, ...]
) -> tuple[dict[str, object], list[object], bytes | None]:
    """The head of an output tensor; its values for JSON, or its bytes."""
    if answers.vectors is not None:
        values = answers.vectors.values  # (rows, width)
        shaped: dict[str, object] = {"name": name, "datatype": "FP32", "shape": list(values.shape)}
        if form.binary:
            return shaped, [], np.ascontiguousarray(values, "<f4").tobytes()
        return shaped, finite(values.ravel().tolist()), None
    if name == "probabilities":
        return _probabilities(form, answers, classes)
    is_class, column = answers.probabilities is not None, _column(name, answers)
    datatype, shape = "BYTES" if is_class else "FP64", [len(column)]
    head: dict[str, object] = {"name": name, "datatype": datatype, "shape": shape}
    if not form.binary:
        return head, finite(column), None
    return head, [], write_bytes(column) if is_class else np.asarray(column, "<f8").tobytes()


def _column(name: str, answers: Answers) -> list[Any]:
    if name not in ENDS:
        return answers.predictions
    end, unknown = ENDS.index(name), (math.nan, math.nan)
    return [each[end] for each in answers.intervals or repeat(unknown, len(answers.predictions))]


def _probabilities(
    form: Form, answers: Answers, classes: tuple[str, ...]
) -> tuple[dict[str, object], list[object], bytes | None]:
    found = answers.probabilities  # (rows, classes)
    assert found is not None
    if form.top is None:
        head: dict[str, object] = {"name": "probabilities", "datatype": "FP32", "shape": list(found.shape)}
        raw = np.ascontiguousarray(found, "<f4").tobytes() if form.binary else None
        return head, [] if form.binary else short(found.ravel()), raw
    best = np.argsort(-found, axis=1, kind="stable")[:, : form.top]  # (rows, top)
    named = [f"{FLOAT32 % found[row, at]}:{at}:{classes[at]}" for row in range(len(found)) for at in best[row].tolist()]
    head = {"name": "probabilities", "datatype": "BYTES", "shape": list(best.shape)}
    return head, [] if form.binary else list(named), write_bytes(named) if form.binary else None
