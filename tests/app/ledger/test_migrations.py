"""The migrations give the tables of the program, on both kinds of database, from every earlier version."""

from __future__ import annotations

import threading
from importlib.resources import as_file, files
from pathlib import Path

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

import sparcc_pipeline.app.reader.tables  # noqa: F401 (adds its tables to the metadata)
from sparcc_pipeline.app.ledger.database import connect, migration_config, open_database
from sparcc_pipeline.app.ledger.tables import metadata
from sparcc_pipeline.errors import ConfigError, OutputError


def _revisions() -> list[str]:
    with as_file(files("sparcc_pipeline.app.ledger") / "migrations") as folder:
        return [each.revision for each in ScriptDirectory.from_config(migration_config(folder)).walk_revisions()][::-1]


@pytest.mark.parametrize("start", [None, *_revisions()])
def test_from_every_version_the_tables_become_those_of_the_program(database_url: str, start: str | None) -> None:
    if start is not None:
        engine = connect(database_url)
        with engine.begin() as connection, as_file(files("sparcc_pipeline.app.ledger") / "migrations") as folder:
            config = migration_config(folder)
            config.attributes["connection"] = connection
            command.upgrade(config, start)
        engine.dispose()

    engine = open_database(database_url)

    with engine.connect() as connection:
        context = MigrationContext.configure(connection)
        assert compare_metadata(context, metadata) == []
        assert context.get_current_revision() == _revisions()[-1]
    engine.dispose()


def test_the_tables_are_made_once_when_several_start_together(database_url: str) -> None:
    faults: list[BaseException] = []

    def start() -> None:
        try:
            open_database(database_url).dispose()
        except BaseException as error:
            faults.append(error)

    threads = [threading.Thread(target=start) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert faults == []


def test_the_history_can_neither_be_changed_nor_deleted(database_url: str) -> None:
    engine = open_database(database_url)
    with engine.begin() as connection:
        connection.execute(
            text("INSERT INTO history (at, event, by, facts) VALUES ('2026-01-01', 'received', 'intake', '{}')")
        )

    for statement in ("UPDATE history SET event = 'scored'", "DELETE FROM history"):
        with pytest.raises(DBAPIError, match="append-only"), engine.begin() as connection:
            connection.execute(text(statement))

    with engine.connect() as connection:
        assert connection.execute(text("SELECT event FROM history")).scalars().all() == ["received"]
    engine.dispose()


def test_a_ledger_of_a_newer_program_is_left_alone(database_url: str) -> None:
    engine = open_database(database_url)
    with engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    engine.dispose()

    with pytest.raises(OutputError, match="found 9999; install the newer program"):
        open_database(database_url)


def test_a_database_that_cannot_be_used_is_an_error_without_its_password(tmp_path: Path) -> None:
    (tmp_path / "no_database").write_text("this is a text")

    with pytest.raises(OutputError, match="not usable"):
        open_database(f"sqlite:///{tmp_path / 'no_database'}")
    with pytest.raises(OutputError) as unreachable:
        open_database(f"postgresql+psycopg://me:secret@/none?host={tmp_path}")
    for url in ("mysql://me:secret@host/name", "nonsense", "sqlite://", "oracle+thin://x"):
        with pytest.raises(ConfigError) as wrong:
            open_database(url)
        assert "secret" not in str(wrong.value)
    assert "secret" not in str(unreachable.value)
