"""Asks a server with KServe's own clients and writes what came as JSON; runs where `kserve` is installed.

Arguments: the address of the first port, and of the second. Headers are made anew for each request, since the client
writes its own into them.
"""

import asyncio
import json
import sys

import numpy as np
from kserve import InferenceGRPCClient, InferenceRESTClient, InferInput, InferRequest, RESTConfig

AGES, PLANS = np.array([50.0, 20, 60]), np.array(["pro", "basic", "pro"], dtype=object)


def request(*, binary: bool) -> InferRequest:
    age, plan = InferInput("age", [3], "FP64"), InferInput("plan", [3], "BYTES")
    age.set_data_from_numpy(AGES, binary_data=binary)
    plan.set_data_from_numpy(PLANS, binary_data=binary)
    return InferRequest("churn", [age, plan], request_id="r-1")


def plain(response: object) -> object:
    found = {each.name: each.as_numpy().tolist() for each in response.outputs}  # type: ignore[attr-defined]
    labels = [label.decode() if isinstance(label, bytes) else label for label in found["prediction"]]
    return [labels, found["probabilities"], response.id]  # type: ignore[attr-defined]


async def over_rest(url: str) -> dict[str, object]:
    def key() -> dict[str, str]:
        return {"Authorization": "Bearer all-key"}

    async with InferenceRESTClient(RESTConfig(protocol="v2")) as client:
        found: dict[str, object] = {
            "live": await client.is_server_live(url),
            "ready": await client.is_server_ready(url),
            "models": [await client.is_model_ready(url, name, headers=key()) for name in ("churn", "chum")],
        }
        for binary in (True, False):
            response = await client.infer(url, request(binary=binary), model_name="churn", headers=key())
            found[f"binary={binary}"] = plain(response)
        try:
            await client.infer(url, request(binary=True), model_name="chum", headers=key())
        except Exception as refused:
            found["refused"] = str(refused)
    return found


async def over_grpc(address: str) -> dict[str, object]:
    key = [("authorization", "Bearer all-key")]
    client = InferenceGRPCClient(address)
    try:
        return {
            "live": await client.is_server_live(),
            "ready": await client.is_server_ready(),
            "model": await client.is_model_ready("churn", headers=key),
            "raw": plain(await client.infer(request(binary=True), headers=key)),
            "contents": plain(await client.infer(request(binary=False), headers=key)),
        }
    finally:
        await client.close()


async def main(rest: str, grpc: str) -> None:
    print(json.dumps({"rest": await over_rest(f"http://{rest}"), "grpc": await over_grpc(grpc)}))


asyncio.run(main(*sys.argv[1:]))
