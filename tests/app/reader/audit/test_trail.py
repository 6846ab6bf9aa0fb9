"""The audit trail after changes outside the page, in the database (of both kinds) or in the store."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import pytest
import tomli_w
from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError

from sparcc_pipeline.app.reader.audit import trail
from sparcc_pipeline.app.reader.audit.backup import write_backup
from sparcc_pipeline.app.reader.audit.trail import reading_digest
from sparcc_pipeline.app.reader.database import HEAD_FILE, ReaderDatabase, open_reader_database
from sparcc_pipeline.app.reader.settings import load_settings
from sparcc_pipeline.app.reader.tables import READINGS
from sparcc_pipeline.errors import ConfigError

from ..conftest import World

NOW = datetime(2026, 3, 1, tzinfo=UTC)


def fill(folder: Path, url: str) -> ReaderDatabase:
    """A page's database with six entries in its trail and one locked reading."""
    file = folder / "reader.toml"
    file.write_text(tomli_w.dumps({"database": {"url": url}}))
    opened = open_reader_database(load_settings(file), lambda: NOW)
    with opened.writing() as work:
        for statement in (
            "INSERT INTO reader_users (id, name, code, role, password_hash, must_change, active, failures, language) "
            "VALUES (1, 'ann', 'R1', 'reader', '', false, true, 0, 'en')",
            "INSERT INTO reader_cases (id, participant, training, round) VALUES (1, 'P1', false, 1)",
            "INSERT INTO reader_assignments (id, code, case_id, user_id, kind, repeat, position, seed, visit_order) "
            "VALUES (1, 'C', 1, 1, 'primary', 1, 0, 1, '[]')",
            "INSERT INTO reader_readings (id, assignment_id, kind, version, state, revision, content, reasons, reason, "
            "saved_at, locked_at) VALUES (1, 1, 'primary', 1, 'locked', 1, '{}', '[]', '', 'now', 'now')",
        ):
            work.connection.execute(text(statement))
        row = work.connection.execute(READINGS.select()).one()
        work.record("ann", "lock", "C", new={"readings": {"1": reading_digest(row)}})
    for number in range(5):
        with opened.writing() as work:
            work.record("ann", "save", "C", old={"a": number}, new={"a": number + 1}, reason="as it is")
    return opened


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def kept(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ReaderDatabase]:
    """A filled database of each kind; changes of a test are rolled back."""
    folder = tmp_path_factory.mktemp(request.param)
    url = "" if request.param == "sqlite" else request.getfixturevalue("cluster").url()
    opened = fill(folder, url)
    yield opened
    opened.engine.dispose()


@pytest.fixture
def database(tmp_path: Path) -> Iterator[ReaderDatabase]:
    """A separate filled database."""
    opened = fill(tmp_path, "")
    yield opened
    opened.engine.dispose()


def tamper(connection: Connection, *statements: str) -> None:
    """Act as the owner of the database, without the triggers."""
    for table in ("reader_audit", "reader_readings"):
        drop_triggers(connection, table)
    for statement in statements:
        connection.execute(text(statement))


def drop_triggers(connection: Connection, table: str) -> None:
    if connection.dialect.name == "postgresql":
        connection.execute(text(f"ALTER TABLE {table} DISABLE TRIGGER ALL"))
        return
    query = text("SELECT name FROM sqlite_master WHERE type = 'trigger' AND tbl_name = :table")
    for name in connection.execute(query, {"table": table}).scalars().all():
        connection.execute(text(f"DROP TRIGGER {name}"))


def test_an_untouched_trail_is_sound(kept: ReaderDatabase) -> None:
    verdict, head = kept.verify(), kept.kept_head()
    assert verdict.sound and verdict.entries == 6
    assert head is not None and head.seq == 6


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE reader_audit SET who = 'ben' WHERE seq = 3",
        "DELETE FROM reader_audit WHERE seq = 3",
        "DELETE FROM reader_audit",
        "UPDATE reader_readings SET content = '{\"a\": 1}'",
        "UPDATE reader_readings SET state = 'open'",
        "DELETE FROM reader_readings",
        "TRUNCATE reader_audit",
        "TRUNCATE reader_readings",
    ],
)
def test_the_database_itself_refuses_to_change_what_is_written(kept: ReaderDatabase, statement: str) -> None:
    if statement.startswith("TRUNCATE") and kept.engine.dialect.name == "sqlite":
        pytest.skip("SQLite has no TRUNCATE")
    with pytest.raises(DBAPIError, match="append-only|never changes"), kept.engine.begin() as connection:
        connection.execute(text(statement))
    assert kept.verify().sound


@pytest.mark.parametrize(
    ("statements", "found"),
    [
        (["UPDATE reader_audit SET who = 'ben' WHERE seq = 3"], "entry 3 was changed"),
        (["UPDATE reader_audit SET new = '' WHERE seq = 3"], "entry 3 was changed"),
        (["UPDATE reader_audit SET at = '2026-03-02' WHERE seq = 6"], "entry 6 was changed"),
        (["DELETE FROM reader_audit WHERE seq = 1"], "entries 1 to 1 are missing"),
        (["DELETE FROM reader_audit WHERE seq IN (3, 4)"], "entries 3 to 4 are missing"),
        (
            [f"UPDATE reader_audit SET seq = {a} WHERE seq = {b}" for a, b in ((90, 3), (3, 4), (4, 90))],
            "entry 3 was changed, moved",
        ),
        (
            [
                "DELETE FROM reader_audit WHERE seq = 4",
                "UPDATE reader_audit SET seq = seq - 1 WHERE seq = 5",
                "UPDATE reader_audit SET seq = seq - 1 WHERE seq = 6",
            ],
            "entry 4 was changed, moved",
        ),
        (["DELETE FROM reader_audit WHERE seq > 4"], "entries 5 to 6 were cut off"),
        (
            [
                "DELETE FROM reader_audit WHERE seq > 4",
                "UPDATE reader_state SET seq = 4, hash = (SELECT hash FROM reader_audit WHERE seq = 4)",
            ],
            "entries 5 to 6 were cut off",
        ),
        (["DELETE FROM reader_audit", "UPDATE reader_state SET seq = 0, hash = ''"], "entries 1 to 6 were cut off"),
        (["UPDATE reader_readings SET content = '{\"a\": 1}'"], "reading 1 was changed after it was locked"),
        (["UPDATE reader_readings SET state = 'open'"], "reading 1 was locked and is missing or open now"),
        (["DELETE FROM reader_readings"], "reading 1 was locked and is missing or open now"),
        (
            [
                "INSERT INTO reader_readings (id, assignment_id, kind, version, state, revision, content, reasons, "
                "reason, saved_at) VALUES (2, 1, 'primary', 2, 'locked', 1, '{}', '[]', '', 'now')"
            ],
            "reading 2 is locked, but not in the trail",
        ),
    ],
)
def test_a_change_outside_the_page_is_found(kept: ReaderDatabase, statements: list[str], found: str) -> None:
    with kept.engine.connect() as connection:
        tamper(connection, *statements)
        findings = trail.verify(connection, kept.key, kept.kept_head()).findings
        connection.rollback()
    assert [finding for finding in findings if found in finding], findings
    assert kept.verify().sound


def test_a_forged_entry_needs_the_key(database: ReaderDatabase) -> None:
    """Even one whose hash was worked out by the rule, with another key."""
    forger = ReaderDatabase(database.engine, database.folder, database.clock, b"x" * 32)
    with forger.writing() as work:
        work.record("ann", "save", "C", new={"a": 9})
    assert "entry 7 was changed, moved or inserted" in database.verify().findings


def test_a_trail_without_its_head_cannot_be_called_sound(database: ReaderDatabase) -> None:
    (database.folder / HEAD_FILE).unlink()
    assert any("no signed head of the trail" in finding for finding in database.verify().findings)


def test_a_head_that_was_noted_down_finds_what_was_cut_off_with_its_file(database: ReaderDatabase) -> None:
    noted = database.kept_head()
    with database.engine.begin() as connection:
        tamper(
            connection,
            "DELETE FROM reader_audit WHERE seq > 4",
            "UPDATE reader_state SET seq = 4, hash = (SELECT hash FROM reader_audit WHERE seq = 4)",
        )
    (database.folder / HEAD_FILE).unlink()
    assert "entries 5 to 6 were cut off" in database.verify(noted).findings


def test_a_used_database_without_its_key_is_not_opened(database: ReaderDatabase, tmp_path: Path) -> None:
    (database.folder / "secret.key").unlink()
    with pytest.raises(ConfigError, match="backup"):
        open_reader_database(load_settings(tmp_path / "reader.toml"), lambda: NOW)


def test_what_fails_leaves_neither_a_change_nor_an_entry(database: ReaderDatabase) -> None:
    def fail() -> None:
        with database.writing() as work:
            work.connection.execute(text("UPDATE reader_users SET failures = 9"))
            work.record("ann", "save", "C")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    with database.reading() as connection:
        assert connection.execute(text("SELECT failures FROM reader_users")).scalar_one() == 0
    assert database.verify().entries == 6 and database.verify().sound


def cut(database: ReaderDatabase) -> None:
    """Remove the two newest entries, and set the database's own head back."""
    with database.engine.begin() as connection:
        tamper(
            connection,
            "DELETE FROM reader_audit WHERE seq > 4",
            "UPDATE reader_state SET seq = 4, hash = (SELECT hash FROM reader_audit WHERE seq = 4)",
        )


def test_a_cut_end_is_found_without_the_key(database: ReaderDatabase) -> None:
    """Someone who can write the database and the head file, but cannot read the key, cannot sign the older head."""
    cut(database)
    head = database.folder / HEAD_FILE
    with database.reading() as connection:
        newest = trail.head_of(connection)
    head.write_text(json.dumps({"seq": newest.seq, "hash": newest.hash}))
    assert any("no signed head" in finding for finding in database.verify().findings)
    head.write_text(json.dumps({"seq": newest.seq, "hash": newest.hash, "signature": "0" * 64}))
    assert any("no signed head" in finding for finding in database.verify().findings)


@pytest.mark.parametrize("remove_head", [False, True])
def test_a_cut_end_stays_visible_after_the_page_goes_on(database: ReaderDatabase, remove_head: bool) -> None:
    cut(database)
    if remove_head:
        (database.folder / HEAD_FILE).unlink()
    for number in range(5):
        with database.writing() as work:
            work.record("ann", "save", "C", new={"a": number})
    findings = database.verify().findings
    assert "entry 5 does not continue the head kept before it" in findings
    assert len(findings) == 1, findings


def test_the_head_beside_a_backup_finds_an_older_state_put_back(world: World, tmp_path: Path) -> None:
    """Even with the older head file, which is signed."""
    before = tmp_path / "before"
    shutil.copytree(world.database.folder, before)
    ann = world.browser("ann")
    ann.read_and_lock(ann.first_case())
    write_backup(world.database, world.settings, tmp_path / "backup.tar")
    world.database.engine.dispose()
    shutil.rmtree(world.database.folder)
    shutil.copytree(before, world.database.folder)
    old = open_reader_database(world.settings, world.clock)
    assert old.verify().sound
    noted = trail.read_head(tmp_path / "backup.tar.head", old.key)
    assert noted is not None and any("were cut off" in finding for finding in old.verify(noted).findings)
    old.engine.dispose()


def test_many_writers_wait_in_turn(database: ReaderDatabase) -> None:
    """Together they hold the database longer than SQLite's own patience."""

    def write(number: int) -> None:
        with database.writing() as work:
            time.sleep(0.35)
            work.record("ann", "save", "C", new={"a": number})

    with ThreadPoolExecutor(18) as pool:
        list(pool.map(write, range(18)))
    assert database.verify().sound and database.verify().entries == 24
