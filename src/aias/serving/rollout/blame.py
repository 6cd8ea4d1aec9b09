"""A process has ended in the run of a request: whose run that was is counted, logged, and told the trials beside it."""

from contextlib import suppress
from typing import TYPE_CHECKING

from aias.core.errors import AiasError
from aias.serving.http.bodies import Bodies, Receive
from aias.serving.rollout.split import kind_of

if TYPE_CHECKING:
    from aias.serving.http.messages import Request
    from aias.serving.survival.journal import Death
    from aias.serving.versions.router import Router


def blame(request: "Request", router: "Router") -> None:
    """When it is over, and what it has asked is known: what is answered is compared by that, too."""
    # Who names a version gets it, whatever the other does: it is no evidence.
    if request.death is None or request.places.get("version", request.named_version) is not None:
        return
    if (endpoint := _endpoint(request, request.death, router)) is not None:
        router.stage.blame(endpoint, request.death.version, kind_of(request))


async def refuse(request: "Request", death: "Death", router: "Router", *, bodies: Bodies, receive: Receive) -> None:
    """Raises its fault, if the request is not tried again; after what is left of its body."""
    if death.fault is None:
        return
    try:
        # Whatever hinders that: its answer is known.
        with suppress(AiasError):
            await bodies.read(request, receive)
    finally:
        bodies.drop(request)
    version = death.version
    if (endpoint := _endpoint(request, death, router)) is not None:
        split, live = router.stage.splits.get(endpoint), router.known(endpoint)
        request.model = split.find(version) if split else live if live and live.version == version else None
        request.places, request.came_to = request.places | {"endpoint": endpoint}, (endpoint, version)
    raise death.fault


def _endpoint(request: "Request", death: "Death", router: "Router") -> str | None:
    """The one that it asked; where its body names that and was not read, the only one that runs the version."""
    named = [request.places["endpoint"]] if "endpoint" in request.places else router.stage.runs(death.version)
    return named[0] if death.version and len(named) == 1 else None
