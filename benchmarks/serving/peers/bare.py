"""The floor: parse, run, encode, and nothing else; under WSGI and under ASGI."""

import msgspec
import numpy as np
from graph import CLASSES, NAMES, session

decode = msgspec.json.Decoder(msgspec.defstruct("Row", [(name, float) for name in NAMES])).decode
run = session.run
astuple = msgspec.structs.astuple


def answer(body):
    found = run(["probabilities"], {"columns": np.array([astuple(decode(body))])})[0]
    shares = found[0].tolist()
    answer = {"prediction": CLASSES[shares[1] > shares[0]], "probabilities": dict(zip(CLASSES, shares, strict=True))}
    return msgspec.json.encode(answer)


def wsgi(environ, start_response):
    body = answer(environ["wsgi.input"].read())
    start_response("200 OK", [("content-type", "application/json"), ("content-length", str(len(body)))])
    return [body]


async def asgi(scope, receive, send):
    if scope["type"] != "http":
        return
    body = b""
    while True:
        message = await receive()
        body += message["body"]
        if not message.get("more_body"):
            break
    body = answer(body)
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})
