import os
import sqlite3
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from aias.core.errors import Damaged, StorageFailed
from aias.database.engine import FILE, Database, DatabaseBusy, NewerDatabase, changed
from aias.database.tables import HEAD, metadata


@pytest.fixture
def database(tmp_path: Path):
    opened = Database.open(tmp_path / "home")
    yield opened
    opened.close()


def pragma(database: Database, name: str) -> object:
    with database.reading() as transaction:
        return transaction.exec_driver_sql(f"PRAGMA {name}").scalar_one()


def test_a_home_and_all_in_it_are_for_their_owner_alone(tmp_path: Path):
    Database.open(tmp_path / "home").close()

    modes = {
        path.name: stat.S_IMODE(path.stat().st_mode) for path in [tmp_path / "home", *(tmp_path / "home").iterdir()]
    }

    assert modes.pop("home") == 0o700
    assert set(modes.values()) == {0o600}


def test_a_home_that_a_misspelt_variable_makes_is_told_of(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    monkeypatch.setenv("AIAS_HOME", str(tmp_path / "hmoe"))

    Database.open(tmp_path / "named by the caller").close()
    for _ in range(2):
        Database.open(tmp_path / "hmoe").close()

    assert caplog.messages == [f"AIAS_HOME names {tmp_path / 'hmoe'}, where nothing was: a new home is made"]


def test_a_home_that_was_there_is_not_made_anew(tmp_path: Path):
    with pytest.raises(StorageFailed, match=r"aias\.db has gone"):
        Database.open(tmp_path / "home", make=False)

    assert not (tmp_path / "home").exists()
    Database.open(tmp_path / "home").close()
    Database.open(tmp_path / "home", make=False).close()


def test_a_commit_survives_a_power_cut_as_far_as_sqlite_can_promise(database: Database):
    assert (pragma(database, "synchronous"), pragma(database, "journal_mode")) == (3, "truncate")


def test_a_row_that_refers_to_nothing_is_refused(database: Database):
    assert pragma(database, "foreign_keys") == 1


def test_an_old_home_in_write_ahead_mode_leaves_it(tmp_path: Path):
    Database.open(tmp_path).close()
    raw = sqlite3.connect(tmp_path / FILE)
    assert raw.execute("PRAGMA journal_mode = WAL").fetchone() == ("wal",)
    raw.close()

    database = Database.open(tmp_path)

    assert pragma(database, "journal_mode") == "truncate"
    database.close()


def test_the_migrations_make_the_tables_that_the_code_describes(database: Database):
    from alembic.autogenerate import compare_metadata
    from alembic.migration import MigrationContext

    with database.reading() as transaction:
        context = MigrationContext.configure(transaction, opts={"compare_type": True})
        assert compare_metadata(context, metadata) == []


def test_the_newest_migration_is_the_one_that_the_code_expects(database: Database):
    from alembic.script import ScriptDirectory

    from aias.database.migrate import config

    assert ScriptDirectory.from_config(config()).get_current_head() == HEAD == database.revision()


def test_a_home_of_a_newer_aias_is_refused_and_left_alone(tmp_path: Path):
    Database.open(tmp_path).close()
    with sqlite3.connect(tmp_path / FILE) as raw:
        raw.execute("UPDATE alembic_version SET version_num = '9999'")
    raw.close()
    before = (tmp_path / FILE).read_bytes()

    with pytest.raises(NewerDatabase, match="9999") as refusal:
        Database.open(tmp_path)

    assert "update aias" in refusal.value.hint
    assert (tmp_path / FILE).read_bytes() == before


def test_a_file_that_is_no_database_is_called_damaged(tmp_path: Path):
    (tmp_path / FILE).write_bytes(b"no database at all" * 100)

    with pytest.raises(Damaged, match=FILE):
        Database.open(tmp_path)


def test_a_write_that_fails_halfway_leaves_nothing(database: Database):
    before = database.generation()

    with pytest.raises(ZeroDivisionError), database.writing() as transaction:
        changed(transaction)
        _ = 1 / 0

    assert database.generation() == before


def test_the_generation_moves_for_other_connections_too(tmp_path: Path, database: Database):
    other = Database.open(tmp_path / "home")
    before = other.generation()

    with database.writing() as transaction:
        changed(transaction)

    assert other.generation() == before + 1
    other.close()


def test_a_database_that_somebody_holds_is_busy_not_broken(tmp_path: Path, database: Database, monkeypatch):
    monkeypatch.setattr("aias.database.engine.DATABASE_WAIT_SECONDS_MAX", 0.01)
    impatient = Database.open(tmp_path / "home")

    with database.writing(), pytest.raises(DatabaseBusy, match="in use"), impatient.writing():
        pass

    impatient.close()


def test_processes_that_open_a_new_home_at_once_all_succeed(tmp_path: Path):
    program = (
        "import sys; sys.stdin.read(1)\n"
        "from pathlib import Path; from aias.database.engine import Database\n"
        "print(Database.open(Path(sys.argv[1])).revision())"
    )
    children = [
        subprocess.Popen(
            [sys.executable, "-c", program, tmp_path / "home"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        for _ in range(4)
    ]

    said = [child.communicate("x")[0] for child in children]

    assert said == [f"{HEAD}\n"] * 4


def test_an_existing_home_opens_without_the_migration_library_and_without_the_orm(tmp_path: Path):
    Database.open(tmp_path).close()
    program = (
        "import sys; from pathlib import Path; from aias.database.engine import Database\n"
        "Database.open(Path(sys.argv[1])).generation()\n"
        "print([name for name in ('alembic', 'mako', 'sqlalchemy.orm') if name in sys.modules])"
    )

    said = subprocess.run(
        [sys.executable, "-c", program, tmp_path], capture_output=True, text=True, check=True, env=dict(os.environ)
    ).stdout

    assert said == "[]\n"
