"""Open the database of a home, read and write in it, and hear cheaply that something changed.

SQLite with a rollback journal, not a write-ahead log: before 3.51.3 the log could corrupt the file when two
connections wrote and checkpointed at one instant, and the SQLite that a Python links is often older. What is given
up, readers beside a commit of a few milliseconds, nobody here would notice: predictions never touch the database.
"""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, Self

from sqlalchemy import Connection, Engine, create_engine, event, inspect, select, text, update
from sqlalchemy.exc import DBAPIError

from aias.core.errors import AiasError, Damaged, DatabaseBusy, StorageFailed
from aias.core.events import Event, logged
from aias.core.failpoints import failpoint
from aias.core.limits import DATABASE_WAIT_SECONDS_MAX
from aias.core.settings import home as default_home
from aias.database.followers import What, wait_for_all
from aias.database.tables import HEAD, counters

FILE: Final = "aias.db"

Transaction = Connection
"""What `reading()` and `writing()` give, and the functions of this room take."""

_PRAGMAS: Final = (
    # EXTRA is FULL and, in a rollback journal, also the step after which a commit cannot be undone by a power cut.
    "PRAGMA synchronous = EXTRA",
    "PRAGMA foreign_keys = ON",
    "PRAGMA trusted_schema = OFF",
)

_GENERATION: Final = select(counters.c.value).where(counters.c.name == "generation")


class NewerDatabase(AiasError):
    code = "database.newer"


class Database:
    """The tables of one home. Safe to use from several threads and processes; not across a fork."""

    def __init__(self, engine: Engine, home: Path) -> None:
        self._engine, self._home = engine, home
        self._generation = str(_GENERATION.compile(engine, compile_kwargs={"literal_binds": True}))

    @classmethod
    def open(cls, home: Path, *, make: bool = True) -> Self:
        """Create what is missing, if it may be made, and migrate what is old. Raises `NewerDatabase`, `Damaged`,
        `StorageFailed`."""
        path = home / FILE
        try:
            if make:
                _make_home(home)
            # SQLite gives its journal the mode of the file, and a new file that of the umask: so make it first.
            os.close(os.open(path, os.O_RDWR | (os.O_CREAT if make else 0) | os.O_CLOEXEC, 0o600))
        except OSError as fault:
            if not make and isinstance(fault, FileNotFoundError):
                raise StorageFailed(f"{path} has gone", hint="is its disk there, or was it moved?") from fault
            raise _unusable(home, fault) from fault
        failpoint("database.after_file")
        database = cls(_engine(path), home)
        try:
            database._migrate(home)
        except BaseException:
            database.close()
            raise
        return database

    @contextmanager
    def reading(self) -> Iterator[Transaction]:
        """One consistent view of the tables."""
        with _told(self._engine), self._engine.connect() as connection, connection.begin():
            yield connection

    @contextmanager
    def writing(self) -> Iterator[Transaction]:
        """One transaction. When the block has ended without an error, what it wrote survives a power cut."""
        with (
            _told(self._engine),
            self._engine.connect().execution_options(aias_writes=True) as connection,
            connection.begin(),
        ):
            yield connection

    @contextmanager
    def moving(self, what: What, name: str = "") -> Iterator[Transaction]:
        """The same for what servers answer by, such as the endpoint of that name: it ends when all that run on this
        home do, or have been given `FOLLOW_SECONDS_MAX` for it and are told of."""
        with self.writing() as transaction:
            yield transaction
        wait_for_all(self._home, what, name)

    def generation(self) -> int:
        """A number that moves whenever endpoints or keys do, whichever process moved them. Costs some 10 µs."""
        with _told(self._engine):
            # The driver itself: the engine's own layers cost ten times the query.
            connection = self._engine.raw_connection()
            try:
                cursor = connection.cursor()
                cursor.execute(self._generation)
                return int(cursor.fetchone()[0])  # type: ignore[index]
            finally:
                connection.close()

    def revision(self) -> str:
        """The migration that the tables stand at; empty when there are none."""
        with self.reading() as transaction:
            return _revision(transaction)

    def close(self) -> None:
        self._engine.dispose()

    def _migrate(self, home: Path) -> None:
        if self.revision() == HEAD:
            return
        failpoint("database.before_migration")
        # Whoever comes second waits here, and finds that there is nothing left to do.
        with self.writing() as transaction:
            revision = _revision(transaction)
            if revision > HEAD:
                raise NewerDatabase(
                    f"{home} was written by a newer Aias (tables at {revision}, this one knows {HEAD})",
                    hint="update aias, or point AIAS_HOME at another folder",
                )
            if revision != HEAD:
                from aias.database.migrate import upgrade

                upgrade(transaction)
            failpoint("database.inside_migration")
        failpoint("database.after_migration")


def changed(connection: Connection) -> None:
    """Say, in the transaction that changes endpoints or keys, that they did."""
    connection.execute(update(counters).where(counters.c.name == "generation").values(value=counters.c.value + 1))


def _make_home(home: Path) -> None:
    if home.is_dir():
        return
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    fd = os.open(home.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
    if os.environ.get("AIAS_HOME") and home == default_home():
        logged(Event("database.new-home", f"AIAS_HOME names {home}, where nothing was: a new home is made", "warning"))


def _engine(path: Path) -> Engine:
    engine = create_engine(f"sqlite:///{path}", connect_args={"timeout": DATABASE_WAIT_SECONDS_MAX})
    event.listen(engine, "connect", _prepare)
    event.listen(engine, "begin", _begin)
    return engine


def _prepare(connection: sqlite3.Connection, _record: object) -> None:
    # Python's driver would begin and commit at moments of its own choosing; from here on only we do.
    connection.isolation_level = None
    for pragma in _PRAGMAS:
        connection.execute(pragma)
    (mode,) = connection.execute("PRAGMA journal_mode = TRUNCATE").fetchone()
    if mode != "truncate":
        raise DatabaseBusy(
            f"the database is in journal mode {mode} and cannot leave it while others have it open",
            hint="stop the other programs that use this home",
        )


def _begin(connection: Connection) -> None:
    # A write that begins as a read can only fail when it turns into one and somebody was faster.
    writes = connection.get_execution_options().get("aias_writes", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def _revision(transaction: Transaction) -> str:
    if not inspect(transaction).has_table("alembic_version"):
        return ""
    return str(transaction.execute(text("SELECT version_num FROM alembic_version")).scalar_one())


@contextmanager
def _told(engine: Engine) -> Iterator[None]:
    """Say in our own words what the driver says in its."""
    try:
        yield
    except (DBAPIError, sqlite3.Error) as fault:
        raise _translated(fault, engine) from fault


def _translated(fault: DBAPIError | sqlite3.Error, engine: Engine) -> Exception:
    cause = fault.orig if isinstance(fault, DBAPIError) else fault
    # The low byte is the kind; the others say where in SQLite it happened.
    kind = (getattr(cause, "sqlite_errorcode", None) or 0) & 0xFF
    file = engine.url.database
    match kind:
        case sqlite3.SQLITE_FULL | sqlite3.SQLITE_IOERR | sqlite3.SQLITE_CANTOPEN | sqlite3.SQLITE_READONLY:
            return StorageFailed(f"cannot write {file}: {cause}", hint="make room on the disk, or check its health")
        case sqlite3.SQLITE_BUSY | sqlite3.SQLITE_LOCKED:
            return DatabaseBusy(
                f"{file} is in use: {cause}", hint="try again; if it stays so, some program holds it open"
            )
        case sqlite3.SQLITE_CORRUPT | sqlite3.SQLITE_NOTADB:
            return Damaged(f"{file} is damaged: {cause}", hint="restore it from a copy; the artifacts beside it stay")
    return fault


def _unusable(home: Path, fault: OSError) -> StorageFailed:
    return StorageFailed(f"cannot use {home}: {fault.strerror}", hint="check its owner, or point AIAS_HOME elsewhere")
