"""Asks a server with the protocol's generated client, whose types are those of the specification.

Runs where `open-inference-openapi` is installed. Argument: the address of the server.
"""

import json
import sys

import httpx
from open_inference.openapi.client import OpenInferenceClient
from open_inference.openapi.errors import NotFoundError
from open_inference.openapi.types import InferenceRequest


def main(address: str) -> None:
    http = httpx.Client(headers={"Authorization": "Bearer all-key"})
    client = OpenInferenceClient(base_url=f"http://{address}", httpx_client=http)
    client.check_server_liveness()
    client.check_server_readiness()
    client.check_model_readiness("churn")
    client.check_model_version_readiness("churn", "7")
    try:
        client.check_model_readiness("chum")
    except NotFoundError as refused:
        missing = refused.body
    request = InferenceRequest.parse_obj(
        {"id": "r-1", "inputs": [{"name": "age", "datatype": "FP64", "shape": [3], "data": [50, 20, 60]}]}
    )
    answers = [
        client.model_infer("churn", request=request),
        client.model_version_infer("churn", "7", request=request),
    ]
    found = {
        "server": client.read_server_metadata().name,
        "model": json.loads(client.read_model_metadata("churn").json(exclude_none=True)),
        "version": client.read_model_version_metadata("churn", "7").versions,
        "missing": missing,
        "answers": [json.loads(answer.json(exclude_none=True)) for answer in answers],
    }
    print(json.dumps(found))


main(*sys.argv[1:])
