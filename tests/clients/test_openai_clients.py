"""The clients that people use for OpenAI's API get the very vectors, and their own kinds of error."""

from collections.abc import Iterator
from typing import Any, Final

import numpy as np
import pytest

pytest.importorskip("tokenizers", reason="the extra `text` is not installed")
pytest.importorskip("safetensors", reason="the extra `text` is not installed")

from interpreter import answers_of

from live_server import LiveServer, Rule, Shelf, live_server
from tiny_encoder import embedding

OPENAI: Final = """
import json, sys, openai
client = openai.OpenAI(base_url=sys.argv[1], api_key="predict-key", max_retries=0)
ask = client.embeddings.create
def fault(call):
    try:
        call()
    except openai.APIStatusError as fault:
        return [type(fault).__name__, fault.status_code, fault.code, fault.param]
default = ask(model="tiny", input=["a b", "c"])
print(json.dumps({
    "base64": [each.embedding for each in default.data],
    "floats": [each.embedding for each in ask(model="tiny", input=["a b", "c"], encoding_format="float").data],
    "tokens": ask(model="tiny", input=[4, 5]).data[0].embedding,
    "lists": [each.embedding for each in ask(model="tiny", input=[[4, 5], [6]], user="me", dimensions=8).data],
    "usage": default.usage.prompt_tokens,
    "models": [each.id for each in client.models.list()],
    "model": client.models.retrieve("tiny").object,
    "unknown": fault(lambda: ask(model="gpt", input="a")),
    "empty": fault(lambda: ask(model="tiny", input="")),
    "dimensions": fault(lambda: ask(model="tiny", input="a", dimensions=3)),
    "foreign": fault(lambda: ask(model="tiny", input=[15339, 1917])),
    "key": fault(lambda: client.with_options(api_key="none").embeddings.create(model="tiny", input="a")),
    "id": bool(client.embeddings.with_raw_response.create(model="tiny", input="a").request_id),
}))
"""

LANGCHAIN: Final = """
import json, sys
from langchain_openai import OpenAIEmbeddings
made = OpenAIEmbeddings(base_url=sys.argv[1], api_key="predict-key", model="tiny", check_embedding_ctx_length=False)
print(json.dumps({"many": made.embed_documents(["a b", "c"]), "one": made.embed_query("a b")}))
"""

LITELLM: Final = """
import json, sys, litellm
def ask(**fields):
    return litellm.embedding(api_base=sys.argv[1], api_key="predict-key", **fields)
found = ask(model="openai/tiny", input=["a b", "c"])
try:
    ask(model="openai/gpt", input=["a"])
except litellm.NotFoundError as fault:
    unknown = fault.status_code
print(json.dumps({"vectors": [each["embedding"] for each in found.data], "usage": found.usage.prompt_tokens,
                  "unknown": unknown}))
"""


@pytest.fixture(scope="module")
def runtime(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return embedding(tmp_path_factory.mktemp("encoder"))


@pytest.fixture(scope="module")
def server(runtime: Any) -> Iterator[LiveServer]:
    shelf = Shelf()
    shelf.deploy("tiny", 1, runtime, model="tiny")
    shelf.deploy("churn", 1, Rule())
    with live_server(shelf) as running:
        yield running


@pytest.fixture(scope="module")
def expected(runtime: Any) -> Any:
    return runtime.embed(["a b", "c"]).vectors.values


@pytest.fixture(scope="module")
def found(server: LiveServer) -> Any:
    """What the client `openai` saw."""
    return answers_of(OPENAI, f"http://{server.address}/v1", client="openai")


def test_openai_gets_the_very_vectors_whatever_it_sends(found: Any, expected: Any) -> None:
    for form in ("base64", "floats", "lists"):
        np.testing.assert_array_equal(np.array(found[form], np.float32), expected, form)
    np.testing.assert_array_equal(np.array(found["tokens"], np.float32), expected[0])
    assert found["usage"] == 7
    assert (found["models"], found["model"], found["id"]) == (["tiny"], "model", True)


def test_openai_raises_its_own_errors(found: Any) -> None:
    assert found["unknown"] == ["NotFoundError", 404, "model_not_found", None]
    assert found["key"] == ["AuthenticationError", 401, "invalid_api_key", None]
    for name, param in (("empty", "input"), ("dimensions", "dimensions"), ("foreign", "input")):
        assert found[name] == ["BadRequestError", 400, "serving.bad-parameter", param]


def test_langchain_gets_the_very_vectors(server: LiveServer, expected: Any) -> None:
    found = answers_of(LANGCHAIN, f"http://{server.address}/v1", client="langchain_openai")

    np.testing.assert_array_equal(np.array(found["many"], np.float32), expected)
    np.testing.assert_array_equal(np.array(found["one"], np.float32), expected[0])


def test_litellm_gets_the_very_vectors(server: LiveServer, expected: Any) -> None:
    found = answers_of(LITELLM, f"http://{server.address}/v1", client="litellm")

    np.testing.assert_array_equal(np.array(found["vectors"], np.float32), expected)
    assert (found["usage"], found["unknown"]) == (7, 404)
