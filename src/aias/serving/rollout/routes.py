"""Endpoints over HTTP: who answers, what is tried beside it; and for keys that may deploy, how that is changed.

What is read comes from memory, but for the past. What changes something is done in a thread, and answered when every
worker has followed.
"""

from collections.abc import Mapping
from typing import Any

import msgspec

from aias.core.names import Ref
from aias.registry.rollout.trial import Guard, Role, beside, named_latency, told
from aias.registry.values import Endpoint
from aias.serving.admission.idempotency import asked_once, once_of
from aias.serving.http.bodies import Nothing, read_as
from aias.serving.http.messages import Reply, Request, json_reply
from aias.serving.http.routes import Route
from aias.serving.inference.repository import Control
from aias.serving.refusals import UnknownEndpoint, follows
from aias.serving.rollout.stage import RolloutStore
from aias.serving.survival.crash_record import NotHeld
from aias.serving.survival.isolated_versions import IsolatedVersions
from aias.serving.versions.loading import deploy, telling_why, tried_out, undeploy
from aias.serving.versions.router import Router


class Deploy(msgspec.Struct, forbid_unknown_fields=True):
    """`canary`, `shadow`: a share of 1. With neither the version answers everybody."""

    version: str
    canary: float | None = None
    shadow: float | None = None
    sticky: str = "key"
    max_errors: float | None = None
    max_slower: float | None = None
    promote_after: int | None = None
    max_latency_ms: float | None = None


class Named(msgspec.Struct, forbid_unknown_fields=True):
    version: str | None = None


class Endpoints:
    """`control` and `rollouts` are absent where this server only follows what others deploy."""

    def __init__(
        self,
        router: Router,
        control: Control | None,
        rollouts: RolloutStore | None,
        isolated: IsolatedVersions | None = None,
    ) -> None:
        self._router, self._control, self._rollouts, self._isolated = router, control, rollouts, isolated

    def routes(self) -> tuple[Route, ...]:
        return (
            Route("GET", "/endpoints", "read", self.tell_all),
            Route("GET", "/endpoints/{name}", "read", self.describe),
            Route("POST", "/endpoints/{name}", "admin", self.deploy),
            Route("POST", "/endpoints/{name}/promote", "admin", self.promote, once=True),
            Route("POST", "/endpoints/{name}/rollback", "admin", self.rollback, once=True),
            Route("POST", "/endpoints/{name}/undeploy", "admin", self.undeploy),
            Route("POST", "/endpoints/{name}/release", "admin", self.release),
        )

    def tell_all(self, _request: Request) -> Reply:
        """Every endpoint, its live version, and the versions on trial beside it"""
        answering = dict(self._router.answering())
        return json_reply([self._told(each, answering) for each in self._router.stage.endpoints])

    def describe(self, request: Request) -> Reply:
        """One of them, with all its trials, where it has pointed, and why its version could not be loaded"""
        endpoint = self._endpoint(request.places["name"])
        rollouts, control, now = self._rollouts, self._control, self._told(endpoint, dict(self._router.answering()))

        def with_its_past() -> bytes:
            history = [] if rollouts is None else [told(each) for each in rollouts.history(endpoint.name)]
            moves = [] if control is None else control.history(endpoint.name)
            return msgspec.json.encode(now | {"history": history, "moves": moves})

        # In a thread, as of the database.
        return Reply(b"", later=with_its_past)

    def deploy(self, request: Request) -> Reply:
        """Point an endpoint at a version, or put one on trial beside it"""
        asked = read_as(request.body, Deploy)
        name, ref = request.places["name"], Ref.parse(asked.version)
        guard: dict[str, Any] = {
            "error_share": asked.max_errors,
            "slower": asked.max_slower,
            "promote_after": asked.promote_after,
        }
        guard["seconds_max"] = None if asked.max_latency_ms is None else named_latency(asked.max_latency_ms / 1000)
        given: dict[str, Any] = {key: value for key, value in guard.items() if value is not None}
        trial = beside(asked.canary, asked.shadow, sticky=asked.sticky, guarded=bool(given))
        if trial is not None:
            self._start(name, ref, *trial, sticky=asked.sticky, guard=Guard(**given))
        else:
            if self._control is None:
                raise follows()
            deploy(self._control, self._router, name, ref)
        return self._followed(name)

    def _start(self, name: str, ref: Ref, role: Role, share: float, *, sticky: str, guard: Guard) -> None:
        kept = self._kept
        if self._control is not None:
            # Of a version that cannot be asked who asks for it is told why. A shadow is loaded in its own process.
            ref = tried_out(self._control, self._router, name, ref, keep=role == "canary").ref
        with telling_why(f"{ref} cannot be tried beside `{name}`"):
            kept.start(name, ref, role=role, share=share, sticky=sticky, guard=guard)

    def promote(self, request: Request) -> Reply:
        """Make a canary the live version"""
        asked, name = read_as(request.body, Named), request.places["name"]
        once = once_of(request, msgspec.json.encode(["promote", name, asked]))
        with asked_once():
            self._kept.promote(name, canary=Ref.parse(asked.version) if asked.version else None, once=once)
        return self._followed(name)

    def rollback(self, request: Request) -> Reply:
        """End every trial; if there is none, go back to the previous version"""
        read_as(request.body, Nothing)
        name = request.places["name"]
        with asked_once():
            self._kept.rollback(name, once=once_of(request, msgspec.json.encode(["rollback", name])))
        return self._followed(name)

    def undeploy(self, request: Request) -> Reply:
        """Remove an endpoint; its versions stay. Again is as good as once"""
        read_as(request.body, Nothing)
        if self._control is None:
            raise follows()
        name = request.places["name"]
        undeploy(self._control, self._router, name)
        return json_reply({"endpoint": name, "version": None})

    def release(self, request: Request) -> Reply:
        """Let a quarantined version run again in a process of its own, or one that runs there in the workers"""
        asked, name = read_as(request.body, Named), request.places["name"]
        endpoint = self._endpoint(name)
        versions = [asked.version] if asked.version else [str(endpoint.ref)]
        unknown = {*versions} - {*self._versions(endpoint)}
        if unknown or not any(map(self._held, versions)):
            said = f"{versions[0][:200]} is neither quarantined nor apart at `{name}`"
            raise NotHeld(said, hint="GET /endpoints shows what is held, and how")
        assert self._isolated is not None
        self._isolated.release(versions[0])
        return self._followed(name)

    def _held(self, version: str) -> str | None:
        return None if self._isolated is None else self._isolated.held(version)

    def _versions(self, endpoint: Endpoint) -> list[str]:
        """The live one, and those on trial."""
        trials = [str(each.ref) for each in self._router.stage.known if each.endpoint == endpoint.name]
        return [str(endpoint.ref), *trials]

    def _followed(self, name: str) -> Reply:
        self._router.retry(name)
        return self._one(name)

    def _one(self, name: str) -> Reply:
        return json_reply(self._told(self._endpoint(name), dict(self._router.answering())))

    def _endpoint(self, name: str) -> Endpoint:
        for each in self._router.stage.endpoints:
            if each.name == name:
                return each
        raise UnknownEndpoint(f"there is no endpoint `{name[:100]}`")

    def _told(self, endpoint: Endpoint, answering: Mapping[str, str]) -> dict[str, object]:
        """`answering`: the version that answers for each endpoint."""
        answers, fault = answering.get(endpoint.name), self._router.fault(endpoint)
        facts: dict[str, object] = {
            "endpoint": endpoint.name,
            "version": str(endpoint.ref),
            "answers": answers,
            "revision": endpoint.revision,
            "since": endpoint.since,
            "held": {each: how for each in self._versions(endpoint) if (how := self._held(each))},
            "trials": [told(each) for each in self._router.stage.known if each.endpoint == endpoint.name],
        }
        return facts | ({"failed": fault} if fault else {})

    @property
    def _kept(self) -> RolloutStore:
        if self._rollouts is None:
            raise follows()
        return self._rollouts
