"""The repository of the protocol is what is deployed: its index, and loading and unloading for whoever may deploy."""

from collections.abc import Callable, Collection, Sequence
from typing import Final, Protocol, TypeVar

import msgspec

from aias.core.json_faults import Faults, in_words
from aias.core.names import Ref
from aias.registry.values import Version
from aias.serving.formats.tensors import Parameters
from aias.serving.http.messages import Reply, Request, json_reply
from aias.serving.refusals import BadBody, NotReady, NotSupported, follows
from aias.serving.versions.loading import deploy, undeploy
from aias.serving.versions.router import Router

PARKED: Final = "not in memory; loaded when it is asked"
QUARANTINED: Final = "quarantined: it has ended its process several times"


class Control(Protocol):
    """The part of a registry that moves endpoints."""

    def version(self, ref: Ref) -> Version: ...

    def deploy(self, endpoint: str, ref: Ref) -> object: ...

    def undeploy(self, endpoint: str) -> None: ...

    def history(self, endpoint: str) -> Sequence[object]: ...


class IndexRequest(msgspec.Struct):
    ready: bool = False


class ControlRequest(msgspec.Struct):
    parameters: Parameters | None = None


_Request = TypeVar("_Request", IndexRequest, ControlRequest)

_index = msgspec.json.Decoder(IndexRequest)
_control = msgspec.json.Decoder(ControlRequest)


class Repository:
    """`control` is absent where this server only follows what others deploy; `quarantined` are versions."""

    def __init__(
        self, router: Router, control: Control | None, quarantined: Callable[[], Collection[str]] = tuple
    ) -> None:
        self._router, self._control, self._quarantined = router, control, quarantined

    def versions(self) -> list[tuple[str, str]]:
        """Every endpoint that has a version which can be loaded, and that."""
        return sorted(self._router.answering())

    def names(self, _request: Request) -> Reply:
        """The names of all endpoints that can answer."""
        held = self._quarantined()
        return json_reply({"models": [name for name, version in self.versions() if version not in held]})

    def index(self, request: Request) -> Reply:
        """Every endpoint, and whether it can answer or why not; with `{"ready": true}` only those that can."""
        only_ready = _decoded(_index, request.body).ready
        here, held = {name for name, _ in self._router.loaded()}, self._quarantined()
        entries = [
            {
                "name": name, "version": version.rpartition("@")[2],
                "state": "UNAVAILABLE" if version in held else "READY",
                "reason": QUARANTINED if version in held else "" if name in here else PARKED,
            }
            for name, version in self.versions() if not (only_ready and version in held)
        ]  # fmt: skip
        if not only_ready:
            why = "no version of it could be loaded; the server's log says why"
            entries += [
                {"name": name, "version": "", "state": "UNAVAILABLE", "reason": why}
                for name in sorted(self._router.missing)
            ]
        return json_reply(sorted(entries, key=lambda entry: entry["name"]))

    def load(self, request: Request) -> Reply:
        """Load an endpoint, retry its version, or deploy the newest version of the model of that name."""
        name = self._name(request, allowed=())
        # Another worker may have moved it a moment ago.
        self._router.retry(name)
        if name not in self._router.missing and not self._answers(name):
            deploy(self._controlled, self._router, name, Ref(name))
            self._router.retry(name)
        if not self._answers(name):
            raise NotReady(f"endpoint `{name}` has no version that can answer", hint="the server's log says why")
        self._router.bring(name)
        return Reply(b"{}")

    def unload(self, request: Request) -> Reply:
        """Undeploy an endpoint; again is as good as once, for whoever did not hear the first answer."""
        name = self._name(request, allowed=("unload_dependents",))
        undeploy(self._controlled, self._router, name)
        return Reply(b"{}")

    def _name(self, request: Request, *, allowed: tuple[str, ...]) -> str:
        for parameter in _decoded(_control, request.body).parameters or ():
            if parameter not in allowed:
                raise NotSupported(
                    f"the parameter `{parameter[:100]}` is not supported", hint="versions are as they were published"
                )
        return request.places["name"]

    def _answers(self, name: str) -> bool:
        return any(each == name for each, _ in self.versions())

    @property
    def _controlled(self) -> Control:
        if self._control is None:
            raise follows()
        return self._control


def _decoded(decoder: msgspec.json.Decoder[_Request], body: bytes) -> _Request:
    try:
        return decoder.decode(body or b"{}")
    except Faults as fault:
        raise BadBody(f"the request: {in_words(fault, body)}", hint="send an object, such as {}") from None
