"""The registry: numbered versions of artifacts, and the endpoints that point at them.

Acknowledged means durable: files → rename → folder → row → return. A process that dies in between leaves, at worst, an
artifact without a row; `collect` removes it.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Self

from aias.artifact.disk import DISK, Disk
from aias.artifact.manifest import Manifest
from aias.artifact.verify import verify
from aias.core.errors import StorageFailed
from aias.core.events import Event, Watch, nobody
from aias.core.failpoints import failpoint
from aias.core.locks import locked
from aias.core.names import Ref, check_endpoint, check_name
from aias.database import endpoints, versions
from aias.database.engine import Database, Transaction
from aias.registry.high_water_mark import HighWaterMark
from aias.registry.lookup import EndpointMoved, VersionInUse, endpoint_in, quoted, version_in
from aias.registry.rollout.rollouts import Rollouts, active_in, end_all, with_trials
from aias.registry.rollout.trial import Trial
from aias.registry.stores.contract import Store
from aias.registry.stores.disk import DiskStore
from aias.registry.values import Ancestor, Endpoint, Move, Version


def utc_now() -> datetime:
    return datetime.now(UTC)


class Registry:
    """Safe to use from several threads and processes at once; open it anew after a fork."""

    def __init__(self, home: Path, *, database: Database, store: Store, clock: Callable[[], datetime]) -> None:
        self.home = home
        self.database = database
        self._store = store
        self._clock = clock
        self._mark = HighWaterMark(home / "published")
        self.rollouts = Rollouts(database, self.manifest, clock)

    @classmethod
    def open(
        cls, home: Path, *, clock: Callable[[], datetime] = utc_now, watch: Watch = nobody, disk: Disk = DISK,
        make: bool = True,
    ) -> Self:  # fmt: skip
        """Open a home, removing what broken-off work has left; make what is missing, but where it was there before.
        Raises what `Database.open` does."""
        database = Database.open(home, make=make)
        try:
            store = DiskStore(home / "artifacts", disk, watch, lambda: clock().timestamp())
            registry = cls(home, database=database, store=store, clock=clock)
            registry._tidy(watch)
        except BaseException:
            database.close()
            raise
        return registry

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self.database.close()

    # Versions

    def publish(self, name: str, files: Mapping[str, bytes], manifest: Manifest) -> Version:
        """Seal the files and give them the next number of `name`. Raises `BadMember`, `StorageFailed`."""
        check_name(name)
        with locked(self._publishing, shared=True):
            failpoint("publish.before_seal")
            sealed = self._store.put(files, manifest)
            with self.database.writing() as transaction:
                before = max(self._mark.read(), versions.published(transaction))
                row = versions.add(
                    transaction,
                    name=name,
                    digest=sealed.digest,
                    created_at=self._clock(),
                    size_bytes=sealed.size_bytes,
                )
                versions.add_parents(transaction, sealed.digest, sealed.lineage.parents)
                failpoint("publish.before_commit")
            failpoint("publish.after_commit")
            # Counted on from the mark, so that a database behind it never catches up.
            self._mark.write(before + 1)
        return Version(*row)

    def versions(self, name: str | None = None) -> list[Version]:
        """All versions, or those of one model, by name and number."""
        with self.database.reading() as transaction:
            return [Version(*row) for row in versions.listed(transaction, name)]

    def version(self, ref: Ref) -> Version:
        """The version that `ref` names, the newest when it names no number. Raises `UnknownVersion`."""
        with self.database.reading() as transaction:
            return version_in(transaction, ref)

    def folder(self, version: Version) -> Path:
        """Where its files lie, not verified."""
        return self._store.folder(version.digest)

    def manifest(self, version: Version) -> Manifest:
        """Its manifest, after every file has been verified. Raises `DamagedArtifact`."""
        return verify(self.folder(version), version.digest)

    def lineage(self, ref: Ref) -> list[Ancestor]:
        """What a version was made from, and that from what, nearest first."""
        with self.database.reading() as transaction:
            found = versions.ancestors(transaction, version_in(transaction, ref).digest)
            rows = versions.with_digests(transaction, [digest for digest, _ in found])
        known = [Version(*row) for row in rows]
        return [
            Ancestor(digest, steps, tuple(version for version in known if version.digest == digest))
            for digest, steps in found
        ]

    def remove(self, ref: Ref) -> Version:
        """Forget a version that no endpoint points at; its number is never given again. Raises `VersionInUse`."""
        with self.database.writing() as transaction:
            version = version_in(transaction, ref)
            if users := endpoints.pointing_at(transaction, version.name, version.number):
                raise _in_use(version, users, [each for each in active_in(transaction) if each.ref == version.ref])
            versions.remove(transaction, version.name, version.number)
            failpoint("remove.before_commit")
        failpoint("remove.after_commit")
        return version

    def collect(self, *, older_than_seconds: float, watch: Watch = nobody) -> list[str]:
        """Remove artifacts that no version is, and temporary folders; return their names.

        Does nothing while somebody publishes, in whichever process: what looks forgotten may be about to be committed.
        Nor when the database knows of fewer versions than were published: it was lost, or is an older copy.
        """
        with locked(self._publishing, wait=False) as alone:
            if not alone:
                return []
            with self.database.reading() as transaction:
                needed, published = versions.digests(transaction), versions.published(transaction)
            if published < (marked := self._mark.read()):
                watch(_kept(self.home, published, marked))
                return []
            if published > marked:
                self._mark.write(published)
            return self._store.collect(needed, older_than_seconds=older_than_seconds)

    # Endpoints

    def deploy(self, endpoint: str, ref: Ref, *, seen: int | None = None) -> Endpoint:
        """Point an endpoint at a version whose files are intact.

        `seen` is the revision that the caller has seen, 0 for "there was none": when somebody else has moved the
        endpoint since, nothing happens and `EndpointMoved` is raised. Trials of the endpoint end. Raises
        `UnknownVersion`, `DamagedArtifact`, `BadName`.
        """
        check_endpoint(endpoint)
        self.manifest(version := self.version(ref))
        with self._moving(endpoint, seen) as transaction:
            # Looked up again, since it may have been removed while its files were read.
            version = version_in(transaction, version.ref)
            at = self._clock()
            end_all(transaction, endpoint, to=version.ref, at=at)
            revision = endpoints.move(transaction, endpoint, (version.name, version.number), at)
            failpoint("deploy.before_commit")
        failpoint("deploy.after_commit")
        return Endpoint(endpoint, version.name, version.number, version.digest, revision, at)

    def undeploy(self, endpoint: str, *, seen: int | None = None) -> None:
        """Remove an endpoint; its history stays. Raises `UnknownEndpoint`, `EndpointMoved`."""
        with self._moving(endpoint, seen) as transaction:
            endpoint_in(transaction, endpoint)
            at = self._clock()
            end_all(transaction, endpoint, to=None, at=at)
            endpoints.move(transaction, endpoint, None, at)
            failpoint("undeploy.before_commit")
        failpoint("undeploy.after_commit")

    def endpoints(self) -> list[Endpoint]:
        """All endpoints by name."""
        with self.database.reading() as transaction:
            trials = active_in(transaction)
            return [with_trials(Endpoint(*row), trials) for row in endpoints.listed(transaction)]

    def endpoint(self, name: str) -> Endpoint:
        """Raises `UnknownEndpoint`."""
        with self.database.reading() as transaction:
            return with_trials(endpoint_in(transaction, name), active_in(transaction, name))

    def history(self, endpoint: str) -> list[Move]:
        """Every move of an endpoint, the oldest first; also of one that is no more."""
        with self.database.reading() as transaction:
            return [Move(*row) for row in endpoints.history(transaction, endpoint)]

    def generation(self) -> int:
        """Moves whenever an endpoint or a key changes, in whichever process; cheap enough to ask often."""
        return self.database.generation()

    def _tidy(self, watch: Watch) -> None:
        try:
            self.collect(older_than_seconds=0, watch=watch)
        except StorageFailed as fault:
            # A disk that cannot forget can still be read from.
            watch(Event("registry.leftovers-kept", str(fault), level="warning"))

    @property
    def _publishing(self) -> Path:
        return self.home / "publishing.lock"

    @contextmanager
    def _moving(self, endpoint: str, seen: int | None) -> Iterator[Transaction]:
        with self.database.moving("endpoints", endpoint) as transaction:
            row = endpoints.found(transaction, endpoint)
            revision = Endpoint(*row).revision if row else 0
            if seen is not None and seen != revision:
                raise EndpointMoved(
                    f"endpoint `{endpoint}` stands at revision {revision}, not at {seen}",
                    hint="somebody was faster: look where it points now, and decide again",
                )
            yield transaction


def _in_use(version: Version, users: list[str], trials: list[Trial]) -> VersionInUse:
    """By endpoints, or beside what answers for them."""
    beside = sorted({each.endpoint for each in trials})
    if live := [each for each in users if each not in beside]:
        hint = f"point {quoted(live)} at another version, or undeploy, first"
        return VersionInUse(f"{version} answers for {quoted(live)}", hint=hint)
    said = f"{version} is on trial beside the version that answers for {quoted(beside)}"
    return VersionInUse(said, hint=f"`aias rollback {beside[0]}` ends the trials there")


def _kept(home: Path, published: int, marked: int) -> Event:
    message = (
        f"the database in {home} knows of {published} published versions, and there have been {marked}: it was lost or "
        "is an older copy, so every artifact is kept. Put the newest `aias.db` back, or delete the file `published` "
        "beside it to let go of what it does not know"
    )
    return Event("registry.artifacts-kept", message, "warning")
