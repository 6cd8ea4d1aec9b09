"""What gRPC's own tools ask: `grpc.health.v1` for load balancers, reflection for `grpcurl` and its like."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from typing import Any, Final

from aias.serving.grpc.proto import Schema, renamed, schema

SERVICE: Final = "inference.GRPCInferenceService"
_NOT_FOUND: Final = 5
_LOOK_SECONDS: Final = 1.0
"""Between two looks at whether the health has changed, for those that watch."""


def health_of(service: str, *, ready: bool) -> Any:
    """The status of the server, which also goes by the name of its service; None for another."""
    if service not in ("", SERVICE):
        return None
    return schema("health").message("HealthCheckResponse")(status="SERVING" if ready else "NOT_SERVING")


async def watched(service: str, *, ready: Callable[[], bool], stopping: asyncio.Event) -> AsyncIterator[Any]:
    """The status now, and again whenever it has changed; the last one when the server stops."""
    before = None
    while True:
        found = health_of(service, ready=ready())
        if found is None:
            found = schema("health").message("HealthCheckResponse")(status="SERVICE_UNKNOWN")
        if found != before:
            yield found
        before = found
        if stopping.is_set():
            return
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(stopping.wait(), _LOOK_SECONDS)


def reflections() -> dict[str, Schema]:
    """The reflection service under both of its names, by method."""
    both = (schema("reflection"), renamed("reflection", "grpc.reflection.v1alpha"))
    return {f"/{each.file.package}.ServerReflection/ServerReflectionInfo": each for each in both}


def reflected(own: Schema, request: Any) -> Any:
    """The answer to one question about the messages and services that there are."""
    reply = own.message("ServerReflectionResponse")(valid_host=request.host)
    reply.original_request.CopyFrom(request)
    asked = request.WhichOneof("message_request")
    schemas = (schema("inference"), schema("health"), own)
    if asked == "list_services":
        for each in schemas:
            for service in each.file.service:
                reply.list_services_response.service.add(name=f"{each.file.package}.{service.name}")
        return reply
    found = None
    if asked == "file_by_filename":
        found = next((each for each in schemas if each.file.name == request.file_by_filename), None)
    elif asked == "file_containing_symbol":
        found = next((each for each in schemas if each.holds(request.file_containing_symbol)), None)
    if found is None:
        reply.error_response.error_code = _NOT_FOUND
        reply.error_response.error_message = "there is no such thing here"
    else:
        reply.file_descriptor_response.file_descriptor_proto.append(found.resolved())
    return reply
