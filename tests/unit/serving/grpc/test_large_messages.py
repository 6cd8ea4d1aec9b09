"""A large message is taken apart, and its answer put together, in a thread: on the loop everybody else would wait."""

import threading
from typing import Any

import pytest

from aias.serving.batching.executor import Executor
from live_server import BOUNDS, live_server

grpc = pytest.importorskip("grpc", reason="needs the extra `grpc`")

ROWS = 9_000
INFER = "/inference.GRPCInferenceService/ModelInfer"


def asked(rows: int, datatype: str = "FP64") -> bytes:
    from aias.serving.grpc.calls import message

    request = message("ModelInferRequest")(model_name="churn")
    tensor = request.inputs.add(name="age", datatype=datatype, shape=[rows])
    tensor.contents.fp64_contents.extend([50.0] * rows)
    made: bytes = request.SerializeToString()
    return made


def test_only_a_large_message_takes_a_thread_and_each_is_answered(monkeypatch: pytest.MonkeyPatch) -> None:
    from aias.serving.grpc import calls

    step, threads, taken = Executor.step, dict[str, set[str]](), list[tuple[int, str, bool]]()

    async def seen(self: Executor, work: Any, **how: Any) -> Any:
        taken.append((how["body_bytes"], how["payer"], how.get("first", False)))
        return await step(self, work, **how)

    def noted(name: str) -> Any:
        real = getattr(calls, name)

        def run(*given: Any, **named: Any) -> Any:
            threads.setdefault(name, set()).add(threading.current_thread().name.partition("_")[0])
            return real(*given, **named)

        return run

    monkeypatch.setattr(Executor, "step", seen)
    for name in ("_infer_body", "_infer_reply"):
        monkeypatch.setattr(calls, name, noted(name))
    with live_server(bounds=BOUNDS, grpc=True) as server, grpc.insecure_channel(server.grpc) as channel:
        call = channel.unary_unary(INFER)

        def labels(rows: int) -> list[bytes]:
            reply = calls.message("ModelInferResponse").FromString(
                call(asked(rows), metadata=(("authorization", "Bearer all-key"),))
            )
            return list(reply.outputs[0].contents.bytes_contents)

        assert labels(2) == [b"yes"] * 2
        assert not taken
        threads.clear()
        assert labels(ROWS) == [b"yes"] * ROWS
        with pytest.raises(grpc.RpcError) as refused:
            call(asked(ROWS, "INT8"), metadata=(("authorization", "Bearer all-key"),))

    assert threads["_infer_reply"] == threads["_infer_body"] == {"aias-long"}
    large = [(payer, first) for size, payer, first in taken if size > BOUNDS.large_body_bytes]
    assert {payer for payer, _ in large} == {"all-key"}
    # Taken apart, and put together as an answer is; and the one that is refused, taken apart.
    assert [first for _, first in large] == [False, True, False]
    assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert "stands in int_contents" in refused.value.details()
