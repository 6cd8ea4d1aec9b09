"""The Open Inference Protocol, asked by the client that most people use."""

import asyncio
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from live_server import LiveServer

triton = pytest.importorskip("tritonclient.http", reason="needs tritonclient[http], which the extra `dev` brings")
InferenceServerException = pytest.importorskip("tritonclient.utils").InferenceServerException

AGES, PLANS = [50.0, 20.0, 60.0], ["pro", "basic", "pro"]


@pytest.fixture
def client(server: LiveServer) -> Iterator[Any]:
    made = triton.InferenceServerClient(server.address)
    yield made
    made.close()


def tensors(*, binary: bool, shape: tuple[int, ...] = (3,)) -> list[Any]:
    age = triton.InferInput("age", list(shape), "FP64")
    age.set_data_from_numpy(np.array(AGES).reshape(shape), binary_data=binary)
    plan = triton.InferInput("plan", list(shape), "BYTES")
    plan.set_data_from_numpy(np.array(PLANS, dtype=object).reshape(shape), binary_data=binary)
    return [age, plan]


def checked(result: Any) -> None:
    assert [label if isinstance(label, str) else label.decode() for label in result.as_numpy("prediction")] == [
        "yes",
        "no",
        "yes",
    ]
    np.testing.assert_array_equal(
        result.as_numpy("probabilities"), np.array([[0.25, 0.75], [0.75, 0.25], [0.25, 0.75]])
    )


def key() -> dict[str, str]:
    """Made anew for each request, since the client writes headers of its own into it."""
    return {"Authorization": "Bearer all-key"}


def test_the_client_finds_the_server_live_and_ready(client: Any) -> None:
    assert client.is_server_live()
    assert client.is_server_ready()
    assert client.is_model_ready("churn", headers=key())
    assert client.is_model_ready("churn", "7", headers=key())
    assert not client.is_model_ready("churn", "6", headers=key())
    assert not client.is_model_ready("chum", headers=key())


def test_the_client_reads_the_metadata(client: Any) -> None:
    assert client.get_server_metadata(headers=key())["name"] == "aias"
    assert client.get_model_metadata("churn", headers=key()) == {
        "name": "churn",
        "versions": ["7"],
        "platform": "onnxruntime_onnx",
        "inputs": [
            {"name": "age", "datatype": "FP64", "shape": [-1]},
            {"name": "plan", "datatype": "BYTES", "shape": [-1]},
        ],
        "outputs": [
            {"name": "prediction", "datatype": "BYTES", "shape": [-1]},
            {"name": "probabilities", "datatype": "FP32", "shape": [-1, 2]},
        ],
    }


@pytest.mark.parametrize("binary", [True, False])
@pytest.mark.parametrize("shape", [(3,), (3, 1)])
@pytest.mark.parametrize("version", ["", "7"])
def test_the_client_gets_its_answers(client: Any, *, binary: bool, shape: tuple[int, ...], version: str) -> None:
    result = client.infer("churn", tensors(binary=binary, shape=shape), version, request_id="r-1", headers=key())

    checked(result)
    response = result.get_response()
    assert (response["id"], response["model_name"], response["model_version"]) == ("r-1", "churn", "7")


@pytest.mark.parametrize("binary", [True, False])
def test_the_client_gets_the_outputs_that_it_names(client: Any, *, binary: bool) -> None:
    wanted = [triton.InferRequestedOutput("probabilities", binary_data=binary)]

    result = client.infer("churn", tensors(binary=True), outputs=wanted, headers=key())

    assert result.as_numpy("probabilities").shape == (3, 2)
    assert result.as_numpy("prediction") is None
    assert ("data" in result.get_output("probabilities")) == (not binary)


@pytest.mark.parametrize("packing", ["gzip", "deflate"])
def test_the_client_may_pack_both_ways(client: Any, packing: str) -> None:
    result = client.infer(
        "churn",
        tensors(binary=True),
        headers=key(),
        request_compression_algorithm=packing,
        response_compression_algorithm=packing,
    )

    checked(result)


def test_the_asynchronous_client_gets_its_answers_many_at_once(server: LiveServer) -> None:
    from tritonclient.http import aio

    async def ask() -> list[Any]:
        async with aio.InferenceServerClient(server.address) as client:
            calls = [client.infer("churn", tensors(binary=at % 2 == 0), headers=key()) for at in range(32)]
            return await asyncio.gather(*calls)

    for result in asyncio.run(ask()):
        checked(result)


def test_the_client_gets_numbers_for_a_regression(client: Any) -> None:
    note = triton.InferInput("note", [2], "BYTES")
    note.set_data_from_numpy(np.array(["21", "1.5"], dtype=object))

    assert client.infer("price", [note], headers=key()).as_numpy("prediction").tolist() == [42.0, 3.0]


def test_the_client_gets_the_best_classes_by_name(client: Any) -> None:
    wanted = [triton.InferRequestedOutput("probabilities", class_count=1)]

    result = client.infer("churn", tensors(binary=True), outputs=wanted, headers=key())

    assert result.as_numpy("probabilities").tolist() == [[b"0.75:1:yes"], [b"0.75:0:no"], [b"0.75:1:yes"]]


def test_the_client_reads_the_configuration(client: Any) -> None:
    config = client.get_model_config("churn", headers=key())

    assert config["max_batch_size"] == 100
    assert config["input"][0] == {"name": "age", "data_type": "TYPE_FP64", "dims": [], "optional": True}
    assert config["output"][1] == {"name": "probabilities", "data_type": "TYPE_FP32", "dims": [2]}


def test_the_client_reads_the_statistics(client: Any) -> None:
    before = client.get_inference_statistics("churn", "7", headers=key())["model_stats"][0]
    client.infer("churn", tensors(binary=True), headers=key())
    with pytest.raises(InferenceServerException):
        client.infer("churn", tensors(binary=True)[:1] * 2, headers=key())
    after = client.get_inference_statistics(headers=key())["model_stats"]

    (now,) = [each for each in after if each["name"] == "churn"]
    assert now["inference_count"] == before["inference_count"] + 3
    assert now["execution_count"] == before["execution_count"] + 1
    assert now["inference_stats"]["success"]["count"] == before["inference_stats"]["success"]["count"] + 1
    assert now["inference_stats"]["fail"]["count"] == before["inference_stats"]["fail"]["count"] + 1
    assert now["inference_stats"]["success"]["ns"] > before["inference_stats"]["success"]["ns"]
    assert 3 in [each["batch_size"] for each in now["batch_stats"]]
    assert sum(each["compute_infer"]["count"] for each in now["batch_stats"]) == now["execution_count"]
    with pytest.raises(InferenceServerException, match="not at version 6"):
        client.get_inference_statistics("churn", "6", headers=key())


def test_the_client_reads_the_index(client: Any) -> None:
    assert client.get_model_repository_index(headers=key()) == [
        {"name": name, "version": version, "state": "READY", "reason": ""}
        for name, version in [("churn", "7"), ("price", "2"), ("square", "1")]
    ]


def test_a_server_that_only_follows_does_not_load(client: Any) -> None:
    with pytest.raises(InferenceServerException, match="does not deploy"):
        client.load_model("other", headers=key())
    with pytest.raises(InferenceServerException, match="does not deploy"):
        client.unload_model("churn", headers=key())
    client.load_model("churn", headers=key())
    with pytest.raises(InferenceServerException, match="`config` is not supported"):
        client.load_model("churn", headers=key(), config="{}")


def test_the_client_is_told_in_words_what_is_wrong(client: Any) -> None:
    with pytest.raises(InferenceServerException, match="there is no endpoint `chum`"):
        client.infer("chum", tensors(binary=True), headers=key())
    with pytest.raises(InferenceServerException, match="needs a key"):
        client.infer("churn", tensors(binary=True))
    with pytest.raises(InferenceServerException, match="is not at version 8"):
        client.infer("churn", tensors(binary=True), "8", headers=key())
