"""Begin trials, end them, and decide: each in one transaction, so that of many workers one decides, and once."""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from typing import Final

import msgspec

from aias.access.idempotency import IdempotencyKey
from aias.artifact.manifest import Manifest
from aias.core.errors import NotFound
from aias.core.names import Ref, check_name
from aias.database import endpoints, trials, versions
from aias.database.engine import Database, Transaction
from aias.registry.lookup import endpoint_in, quoted, version_in
from aias.registry.rollout.evidence import Evidence
from aias.registry.rollout.trial import WHOLE, BadTrial, Guard, Role, Trial, check_share, check_sticky
from aias.registry.values import BACK, Endpoint, Move, Version, behind

TRIALS_MAX: Final = 4
"""Beside one endpoint; each is a model in memory."""

_evidence = msgspec.json.Decoder(Evidence)
_guard = msgspec.json.Decoder(Guard)


class NothingToPromote(NotFound):
    """No version is on trial at the endpoint that could be promoted."""

    code = "registry.nothing-to-promote"


class NothingBefore(NotFound):
    """The endpoint has no previous version to go back to."""

    code = "registry.nothing-before"


class Rollouts:
    """`manifest` verifies a version's files."""

    def __init__(
        self, database: Database, manifest: Callable[[Version], Manifest], clock: Callable[[], datetime]
    ) -> None:
        self._database, self._manifest, self._clock = database, manifest, clock

    def start(
        self, endpoint: str, ref: Ref, *, role: Role = "canary", share: float, sticky: str = "key",
        guard: Guard | None = None,
    ) -> Trial:  # fmt: skip
        """Put a version beside the live one of an endpoint. The same version again, in the same role, is another share
        of it, and its evidence starts anew. Raises `UnknownEndpoint`, `UnknownVersion`, `DamagedArtifact`, `BadTrial`.
        """
        check_name(endpoint)
        parts, by = check_share(share), check_sticky(sticky)
        with self._database.reading() as transaction:
            version = version_in(transaction, ref)
            live = version_in(transaction, endpoint_in(transaction, endpoint).ref)
        _check_alike(version, self._manifest(version), live, self._manifest(live))
        with self._database.moving("endpoints", endpoint) as transaction:
            version = version_in(transaction, version.ref)
            now = endpoint_in(transaction, endpoint)
            if now.ref == version.ref:
                raise BadTrial(f"{version} is what `{endpoint}` answers with", hint="try another version beside it")
            for each in active_in(transaction, endpoint):
                if (each.ref, each.role) == (version.ref, role):
                    self._end(transaction, each, "moved", f"its share is {100 * parts / WHOLE:g} % from here on")
            _check_room(active_in(transaction, endpoint), role, parts, by)
            trial = trials.add(
                transaction, endpoint=endpoint, version=(version.name, version.number), role=role, share=parts,
                sticky=by, guard=msgspec.json.encode(guard or Guard()).decode(),
                evidence=msgspec.json.encode(Evidence()).decode(), at=self._clock(),
            )  # fmt: skip
            return _required(transaction, trial)

    def promote(self, endpoint: str, *, canary: Ref | None = None, once: IdempotencyKey | None = None) -> Endpoint:
        """Make a canary the live version; the only one where none is named. Raises `NothingToPromote`,
        `AskedOtherwise`."""
        with self._database.moving("endpoints", endpoint) as transaction:
            now = endpoint_in(transaction, endpoint)
            if once is not None and once.made(transaction, self._clock()) is not None:
                return now
            active = active_in(transaction, endpoint)
            found = [each for each in active if (canary is None and each.role == "canary") or each.ref == canary]
            if not found:
                named = "no canary" if canary is None else f"no trial of {canary}"
                hint = "`aias deploy MODEL@NUMBER`, `.deploy()` in Python, moves it at once, without a trial"
                if active:
                    tried = active[0]
                    hint = f"on trial is {tried.ref}, as a {tried.role}: `aias promote {endpoint} {tried.ref}`"
                    hint += f", in Python `aias.endpoint('{endpoint}').promote('{tried.ref}')`"
                raise NothingToPromote(f"`{endpoint}` has {named}", hint=hint)
            if len({each.ref for each in found}) > 1:
                raise BadTrial(f"`{endpoint}` has several canaries", hint=f"name one: {_named(found)}")
            self._note(transaction, endpoint, once)
            return self._move(transaction, endpoint, found[0].ref, "by hand", how="promoted")

    def rollback(self, endpoint: str, *, once: IdempotencyKey | None = None) -> tuple[Endpoint, list[Trial]]:
        """Take every canary and shadow away, which are returned; where there is none, go back to the version before;
        again, to the one before that. Versions that were removed are passed over.

        Raises `UnknownEndpoint`, `NothingBefore`, `AskedOtherwise`.
        """
        with self._database.moving("endpoints", endpoint) as transaction:
            now = endpoint_in(transaction, endpoint)
            if once is not None and once.made(transaction, self._clock()) is not None:
                return now, []
            if found := active_in(transaction, endpoint):
                for each in found:
                    self._end(transaction, each, "rolled back", "by hand")
                self._note(transaction, endpoint, once)
                return now, found
            past = behind(Move(*row) for row in endpoints.history(transaction, endpoint))
            for ref in reversed(past):
                if ref != now.ref and versions.found(transaction, ref.name, ref.number) is not None:
                    self._note(transaction, endpoint, once)
                    return self._move(transaction, endpoint, ref, "", how=BACK), []
        gone = f"; {quoted(sorted({str(each) for each in past}))} is removed" if past else ""
        raise NothingBefore(
            f"there is no version before {now.ref} to roll `{endpoint}` back to{gone}",
            hint=f"`aias endpoints {endpoint}`, in Python `.moves`, shows its past; `aias deploy` moves it anywhere",
        )

    def withdraw(self, trial: int, why: str) -> None:
        """End one that cannot go on; does nothing when it has ended."""
        with self._database.writing() as transaction:
            row = trials.found(transaction, trial)
            if row is not None and (found := trial_of(row)).ended_at is None:
                self._end(transaction, found, "rolled back", why)

    def report(self, trial: int, more: Evidence) -> Trial | None:
        """Add what one worker has seen, and decide on the sum of all. What became of it; None when it had ended."""
        with self._database.writing() as transaction:
            row = trials.found(transaction, trial)
            if row is None or (found := trial_of(row)).ended_at is not None:
                return None
            found.evidence.add(more)
            trials.note(transaction, trial, msgspec.json.encode(found.evidence).decode())
            if found.role == "canary":
                self._decide(transaction, found)
            return _required(transaction, trial)

    def history(self, endpoint: str) -> list[Trial]:
        """Every trial of an endpoint, the oldest first."""
        with self._database.reading() as transaction:
            return [trial_of(row) for row in trials.of_endpoint(transaction, endpoint)]

    def active(self) -> list[Trial]:
        """Every trial that goes on, the oldest first."""
        with self._database.reading() as transaction:
            return active_in(transaction)

    def outcomes(self) -> list[tuple[str, str, int]]:
        """How many trials of each endpoint ended how."""
        with self._database.reading() as transaction:
            return trials.outcomes(transaction)

    def _note(self, transaction: Transaction, endpoint: str, once: IdempotencyKey | None) -> None:
        if once is not None:
            once.note(transaction, endpoint, b"", self._clock())

    def _decide(self, transaction: Transaction, trial: Trial) -> None:
        guard, seen = trial.guard, trial.evidence
        why = seen.worse(
            error_share=guard.error_share, slower=guard.slower, false_alarms=guard.false_alarms,
            seconds_max=guard.seconds_max,
        )  # fmt: skip
        if why:
            self._end(transaction, trial, "rolled back", why)
        elif guard.promote_after and seen.good >= guard.promote_after:
            why = f"{seen.errors.asked + seen.alone.asked:,} answers, and not worse"
            self._move(transaction, trial.endpoint, trial.ref, why, how="promoted")

    def _move(self, transaction: Transaction, endpoint: str, to: Ref, why: str, *, how: str) -> Endpoint:
        version, at = version_in(transaction, to), self._clock()
        end_all(transaction, endpoint, to=version.ref, why=why, at=at)
        revision = endpoints.move(transaction, endpoint, (version.name, version.number), at, how)
        return Endpoint(endpoint, version.name, version.number, version.digest, revision, at)

    def _end(self, transaction: Transaction, trial: Trial, outcome: str, why: str) -> None:
        trials.end(transaction, trial.id, outcome=outcome, why=why, at=self._clock())


def end_all(transaction: Transaction, endpoint: str, *, to: Ref | None, why: str = "", at: datetime) -> None:
    """End the trials of an endpoint that moves: what they were compared with answers no more."""
    for each in active_in(transaction, endpoint):
        if each.ref == to:
            trials.end(transaction, each.id, outcome="promoted", why=why or "deployed", at=at)
        else:
            moved = f"`{endpoint}` answers with {to}" if to else f"`{endpoint}` is no more"
            trials.end(transaction, each.id, outcome="replaced", why=moved, at=at)


def active_in(transaction: Transaction, endpoint: str | None = None) -> list[Trial]:
    """The trials that go on, of one endpoint or of all, the oldest first."""
    return [trial_of(row) for row in trials.active(transaction, endpoint)]


def trial_of(row: trials.TrialRow) -> Trial:
    id_, endpoint, model, number, digest, role, share, sticky, guard, started_at, evidence, ended_at, outcome, why = row
    return Trial(
        id_, endpoint, model, number, digest or "", "shadow" if role == "shadow" else "canary", share, sticky,
        _guard.decode(guard), started_at, _evidence.decode(evidence), ended_at, outcome or "", why or "",
    )  # fmt: skip


def with_trials(endpoint: Endpoint, found: list[Trial]) -> Endpoint:
    return replace(endpoint, trials=tuple(each for each in found if each.endpoint == endpoint.name))


def _required(transaction: Transaction, trial: int) -> Trial:
    row = trials.found(transaction, trial)
    assert row is not None
    return trial_of(row)


def _check_alike(version: Version, its: Manifest, live: Version, lives: Manifest) -> None:
    """A caller must be able to read the answers of either."""
    told = [(each.task.type, tuple(each.task.classes), each.task.width) for each in (its, lives)]
    if told[0] != told[1]:
        raise BadTrial(
            f"{version} does not answer what {live} answers: {_said(its)}, not {_said(lives)}",
            hint="deploy it to an endpoint of its own: `aias deploy ... --as NAME`",
        )


def _said(manifest: Manifest) -> str:
    task = manifest.task
    if task.width:
        return f"vectors of {task.width} numbers"
    return f"{task.type} of `{task.target}`" + (f" with {len(task.classes)} labels" if task.classes else "")


def _check_room(found: list[Trial], role: Role, parts: int, by: str) -> None:
    if len(found) >= TRIALS_MAX:
        raise BadTrial(
            f"{len(found)} versions stand beside `{found[0].endpoint}` already: {_named(found)}",
            hint=f"`aias rollback {found[0].endpoint}` takes them away",
        )
    canaries = [each for each in found if each.role == role == "canary"]
    taken = sum(each.share for each in canaries) + parts
    if canaries and taken > WHOLE:
        raise BadTrial(
            f"canaries would have {100 * taken / WHOLE:g} % of the callers", hint=f"beside {_named(canaries)}"
        )
    if canaries and {by} != {each.sticky for each in canaries}:
        raise BadTrial(
            f"{_named(canaries)} tells callers apart by `{canaries[0].sticky}`, so `{by}` cannot be for the next",
            hint="canaries of one endpoint share the callers among themselves",
        )


def _named(found: list[Trial]) -> str:
    return quoted([str(each.ref) for each in found])
