"""Which version answers a request, where an endpoint has more than one, and what is seen of each."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol

from aias.core.errors import AiasError
from aias.registry.rollout.trial import BY_KEY, BY_REQUEST, Trial, point
from aias.serving.bodies import ClientGone
from aias.serving.models import Model
from aias.serving.refusals import status_of
from aias.serving.rollout.cells import Cells, Seen

if TYPE_CHECKING:
    from aias.serving.messages import Reply, Request

STICKY: Final = b"x-aias-sticky"
"""By it a caller says for whom it asks; who is the same stays with one version."""

_NOT_ITS_FAULT: Final = frozenset((503, 504))
"""Too much was asked, or too late."""


class Mirror(Protocol):
    """Where requests are put before a shadow; never waits."""

    def offer(self, request: "Request") -> None: ...


@dataclass(frozen=True, slots=True)
class Canary:
    """`upper`: it answers who stands below it, and is asked before those that come after it."""

    trial: Trial
    model: Model
    cells: Cells
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
        if (named := request.places.get("version")) is not None:
            for each in self.canaries:
                if str(each.model.number) == named:
                    request.model = each.model
            return
        request.split = self
        if not self.canaries:
            return
        at = self.point(request)
        for each in self.canaries:
            if at < each.upper:
                request.model = each.model
                return

    def point(self, request: "Request") -> int:
        if self._by_request:
            who = b"request " + request.id.encode()
        elif (named := request.headers.get(self._header)) is not None:
            who = b"named " + named
        else:
            who = b"key " + request.tenant.encode()
        return point(self._endpoint, self._revision, who)

    def rescues(self, request: "Request", fault: Exception) -> bool:
        """Whether a canary has failed with what the live version may answer; then that is the request's from now on."""
        if request.model is self.live or isinstance(fault, ClientGone):
            return False
        status = status_of(fault) if isinstance(fault, AiasError) else 500
        if status not in (400, 422) and (status < 500 or status in _NOT_ITS_FAULT):
            return False
        request.model = self.live
        return True

    def failed(self, model: Model | None, request: "Request") -> None:
        """Note that a version could not answer what the live one has answered."""
        for each in self.canaries:
            if each.model is model:
                each.cells.see(Seen(True, _kind(request), True, None))

    def note(self, request: "Request", reply: "Reply") -> None:
        """Note what became of a request, and let the shadows have it."""
        late = reply.status == 504 and request.deadline is None
        if reply.status == 200 and reply.phases is not None:
            failed, seconds = False, sum(reply.phases)
        elif late or (reply.status >= 500 and reply.status not in _NOT_ITS_FAULT):
            failed, seconds = True, None
        else:
            return
        by_live = request.model is self.live
        for each in self.canaries:
            if by_live or each.model is request.model:
                each.cells.see(Seen(not by_live, _kind(request), failed, seconds))
        for mirror in self._mirrors:
            mirror.offer(request)


def _kind(request: "Request") -> tuple[bytes, int]:
    return request.media_type, len(request.body).bit_length()
