"""A process has ended in the run of a request: whose run that was is counted, logged, and told the trials beside it."""

from typing import TYPE_CHECKING

from aias.serving.rollout.split import kind_of

if TYPE_CHECKING:
    from aias.serving.http.messages import Request
    from aias.serving.survival.journal import Death
    from aias.serving.versions.router import Router


def blame(request: "Request", death: "Death", router: "Router") -> None:
    """Raises its fault, if the request is not tried again."""
    stage, version = router.stage, death.version
    # What is in the body is not read yet.
    named = [request.places["endpoint"]] if "endpoint" in request.places else stage.runs(version)
    if version and len(named) == 1:
        [endpoint] = named
        # Who names a version gets it, whatever the other does: it is no evidence.
        if request.places.get("version", request.named_version) is None:
            stage.blame(endpoint, version, kind_of(request))
        if death.fault is not None:
            split, live = stage.splits.get(endpoint), router.known(endpoint)
            request.model = split.find(version) if split else live if live and live.version == version else None
            request.places, request.came_to = request.places | {"endpoint": endpoint}, (endpoint, version)
    if death.fault is not None:
        raise death.fault
