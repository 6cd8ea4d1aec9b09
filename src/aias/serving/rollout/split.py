"""Which version answers a request, where an endpoint has more than one, and what is seen of each."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol

from aias.core.errors import AiasError
from aias.registry.rollout.trial import BY_KEY, BY_REQUEST, Trial, point
from aias.serving.admission.urgency import DEADLINE
from aias.serving.http.bodies import ClientGone
from aias.serving.refusals import status_of
from aias.serving.rollout.collector import EvidenceCollector, Kind, Seen
from aias.serving.versions.model import Model

if TYPE_CHECKING:
    from aias.serving.http.messages import Reply, Request

STICKY: Final = b"x-aias-sticky"
"""By it a caller says for whom it asks; who is the same stays with one version."""

_LATE: Final = frozenset((503, 504))
"""It did not come in time, or was refused since it would not have: too much was asked, or the version is too slow;
which of both, is seen by how the other version fares meanwhile."""


class Mirror(Protocol):
    """Where requests are put before a shadow; never waits."""

    def offer(self, request: "Request") -> None: ...


@dataclass(frozen=True, slots=True)
class Canary:
    """`upper`: it answers who stands below it, and is asked before those that come after it."""

    trial: Trial
    model: Model
    collector: EvidenceCollector
    upper: int


class Split:
    """The versions of one endpoint; is replaced, never changed."""

    def __init__(
        self, endpoint: str, revision: int, *, live: Model, canaries: Sequence[Canary], mirrors: Sequence[Mirror] = ()
    ) -> None:
        self.live, self.canaries, self._mirrors = live, tuple(canaries), tuple(mirrors)
        self._endpoint, self._revision = endpoint, revision
        sticky = canaries[0].trial.sticky if canaries else BY_KEY
        self._by_request = sticky == BY_REQUEST
        self._header = STICKY if sticky == BY_KEY else sticky.encode()

    def choose(self, request: "Request") -> None:
        """Give the request the version that answers it. Who names a version gets it, and is not counted."""
        request.model = self.live
        if (named := request.places.get("version", request.named_version)) is not None:
            if not _is_called(self.live, named):
                request.model = next((each.model for each in self.canaries if _is_called(each.model, named)), self.live)
            return
        if request.death is not None or (request.slot is not None and request.slot.tries):
            # A worker has died in its run, the last one or one before. A canary is not tried a second time: its caller
            # is to see no failure. What becomes of it says nothing of the live version beside the other.
            return
        request.split = self
        if request.method == "GET":
            # What is described is the live version, whoever asks.
            return
        if self.canaries and (found := self._canary_of(request)) is not None:
            request.model = found.model

    @property
    def numbers(self) -> list[int]:
        """Of the versions that can be asked by number, the live one's first."""
        return [*dict.fromkeys((self.live.number, *(each.model.number for each in self.canaries)))]

    def find(self, version: str) -> Model | None:
        """The model of one of its versions."""
        return next((each for each in (self.live, *(c.model for c in self.canaries)) if each.version == version), None)

    def _canary_of(self, request: "Request") -> Canary | None:
        at = self.point(request)
        return next((each for each in self.canaries if at < each.upper), None)

    def point(self, request: "Request") -> int:
        if self._by_request:
            who = b"request " + request.id.encode()
        elif (named := request.headers.get(self._header)) is not None:
            who = b"named " + named
        else:
            who = b"key " + request.tenant.encode()
        return point(self._endpoint, self._revision, who)

    async def rescued(self, request: "Request", run: Callable[[], "Awaitable[Reply]"]) -> "Reply":
        """The reply that `run` gives; what a canary cannot answer, the live version answers."""
        tried, body = request.model, request.body
        try:
            return await run()
        except Exception as fault:
            if tried is self.live or not _may_be_the_versions(fault):
                raise
        # Whatever becomes of it now says nothing about the live version beside the other.
        request.model, request.split, request.body = self.live, None, body
        if request.charge is not None:
            request.charge.rows_again()
        reply = await run()
        for each in self.canaries:
            if each.model is tried:
                each.collector.see(Seen(True, kind_of(request), True, None))
        return reply

    def note(self, request: "Request", reply: "Reply") -> None:
        """Note what became of a request, and let the shadows have it."""
        own = reply.status == 504 and request.deadline is None
        late, failed, seconds = reply.status in _LATE and not own, False, None
        if late:
            seconds = _allowed_ms(request) / 1000
        elif reply.status == 200 and reply.phases is not None:
            seconds = sum(reply.phases)
        elif own or reply.status >= 500:
            failed = True
        else:
            return
        # By name: one that runs in a process of its own has another model in its place.
        version = request.asked.version
        by_live = version == self.live.version
        for each in self.canaries:
            if by_live or each.model.version == version:
                each.collector.see(Seen(not by_live, kind_of(request), failed, seconds, late))
        # What did not end here would not end there either: the shadow would see nothing more.
        for mirror in () if late or own else self._mirrors:
            mirror.offer(request)


def _is_called(model: Model, named: str) -> bool:
    """By its number, or wholly: a canary of another model may have the live version's number."""
    return named in (str(model.number), model.version)


def _may_be_the_versions(fault: Exception) -> bool:
    """Whether another version might not have failed so."""
    if isinstance(fault, ClientGone):
        return False
    status = status_of(fault) if isinstance(fault, AiasError) else 500
    return status in (400, 422) or (status >= 500 and status not in _LATE)


def kind_of(request: "Request") -> Kind:
    """Among what its answer is compared."""
    # A body that was refused at the door has not been read.
    length = len(request.body) or int(request.headers.get(b"content-length", b"0"))
    return request.media_type, length.bit_length(), _allowed_ms(request).bit_length()


def _allowed_ms(request: "Request") -> int:
    """0 where its caller has not said."""
    return 0 if request.deadline is None else int(request.headers.get(DEADLINE, b"0"))
