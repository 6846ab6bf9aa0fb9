"""Rows, images and results changed outside the page: each differs from the trail, and none ends the check."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import text

from sparcc_pipeline.app.reader.audit.verification import verify_all
from sparcc_pipeline.app.reader.database import lock_database

from ..conftest import PASSWORD, World
from .test_trail import tamper


def _change_image(folder: Path) -> None:
    file = next(folder.glob("images/*/stir/0005.gz"))
    file.write_bytes(file.read_bytes()[:-1] + b"x")


def _change_result(folder: Path) -> None:
    file = next(folder.glob("machine/*/result.json"))
    file.write_text(file.read_text().replace('"total":', '"total": '))


def _remove_image(folder: Path) -> None:
    next(folder.glob("images/*/stir/0005.gz")).unlink()


@pytest.mark.parametrize(
    ("statement", "found"),
    [
        (
            "UPDATE reader_assignments SET visit_order = CASE visit_order WHEN '[1, 2]' THEN '[2, 1]' "
            "ELSE '[1, 2]' END WHERE case_id = 1",
            "differs from its assignment",
        ),
        ("UPDATE reader_assignments SET user_id = 4 WHERE case_id = 3 AND user_id = 1", "differs from its assignment"),
        ("DELETE FROM reader_assignments WHERE case_id = 3", "differs from its assignment"),
        ("UPDATE reader_assignments SET position = position + 5 WHERE case_id = 3", "differs from its assignment"),
        ("UPDATE reader_assignments SET second_opinion_at = 'now' WHERE id = 1", "time of the second opinion of case"),
        ("UPDATE reader_state SET database_locked_at = 'now'", "the database lock differs"),
        ("UPDATE reader_cases SET round = 2 WHERE id = 1", "differs from its import"),
        ("UPDATE reader_users SET active = false WHERE name = 'ann'", "user ann differs"),
        ("UPDATE reader_users SET password_hash = 'x' WHERE name = 'ann'", "user ann differs"),
        ("UPDATE reader_users SET must_change = true WHERE name = 'ann'", "user ann differs"),
        ("UPDATE reader_users SET code = 'R9' WHERE name = 'ann'", "user ann differs"),
        ("UPDATE reader_users SET role = 'auditor' WHERE name = 'ben'", "user ben differs"),
        ("UPDATE reader_visits SET visit = 'W96' WHERE id = 1", "differs from its import"),
        ("UPDATE reader_visits SET machine = 'x' WHERE id = 1", "differs from its import"),
        ("UPDATE reader_visits SET known = '{}' WHERE known IS NOT NULL", "differs from its import"),
        ("UPDATE reader_cases SET participant = 'P999' WHERE participant = 'P001'", "differs from its import"),
        ("DELETE FROM reader_visits WHERE id = 1", "imported time points are missing"),
    ],
)
def test_users_assignments_and_visits_are_compared_with_the_trail(world: World, statement: str, found: str) -> None:
    with world.database.engine.begin() as connection:
        assert connection.execute(text(statement)).rowcount > 0
    assert [each for each in verify_all(world.database).findings if found in each]


@pytest.mark.parametrize("change", [_change_image, _change_result, _remove_image])
def test_changed_images_and_results_are_found(world: World, change: Callable[[Path], None]) -> None:
    assert verify_all(world.database).sound
    change(world.database.folder)
    assert any("were changed" in finding for finding in verify_all(world.database).findings)


@pytest.mark.parametrize(
    ("statement", "found"),
    [
        (
            "UPDATE reader_readings SET content = replace(content, '\"good\"', '\"poor\"')",
            "differs from its last entry",
        ),
        ("UPDATE reader_readings SET saved_at = 'now'", "differs from its last entry"),
        ("UPDATE reader_readings SET revision = 9", "differs from its last entry"),
        ("UPDATE reader_readings SET version = 9", "differs from its last entry"),
        ("DELETE FROM reader_readings", "is missing"),
    ],
)
def test_an_open_reading_changed_outside_the_page_is_found(world: World, statement: str, found: str) -> None:
    ann = world.browser("ann")
    ann.read(ann.first_case())
    assert verify_all(world.database).sound
    with world.database.engine.begin() as connection:
        assert connection.execute(text(statement)).rowcount > 0
    assert [each for each in verify_all(world.database).findings if found in each]


def test_everything_that_the_page_does_is_sound(world: World) -> None:
    """Passwords, accounts, a lock, a correction, a second opinion, a revised reading and the database lock."""
    ann, eva = world.browser("ann"), world.browser("eva")
    code = ann.first_case()
    ann.read_and_lock(code)
    ann.script("POST", f"/api/cases/{code}/correction", {"reason": "the wrong side"})
    assert verify_all(world.database).sound
    ann.read_and_lock(code)
    ann.script("POST", f"/api/cases/{code}/second-opinion")
    body = {"revision": 0, "content": ann.case(code)["reading"]["content"], "reasons": []}
    assert ann.script("PUT", f"/api/cases/{code}/revision", body).status_code == 200
    eva.form("/users/active", name="ben", active="0")
    eva.form("/users/reset", name="cem")
    eva.form("/password", old=PASSWORD, new="another long password", again="another long password")
    assert verify_all(world.database).sound
    with world.database.writing() as work:
        lock_database(work, "eva", "done")
    assert verify_all(world.database).sound


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE reader_audit SET new = '{not json'",
        "UPDATE reader_audit SET new = '[1]'",
        "UPDATE reader_audit SET new = x'ff00'",
        "UPDATE reader_audit SET hash = 'ü'",
        "UPDATE reader_audit SET at = x'ff'",
        "UPDATE reader_assignments SET visit_order = 'not json'",
        "UPDATE reader_assignments SET visit_order = x'ff'",
        "UPDATE reader_assignments SET position = 'x'",
        "UPDATE reader_visits SET machine = 'x/../y', visit = x'ff' WHERE id = 1",
        "UPDATE reader_visits SET known = 5 WHERE id = 1",
        "UPDATE reader_readings SET content = x'ff', locked_at = 5",
        "UPDATE reader_users SET password_hash = x'ff' WHERE id = 1",
        "DELETE FROM reader_state",
        "INSERT INTO reader_state (id, seq, hash) VALUES (2, 0, '')",
    ],
)
def test_a_malformed_row_is_a_finding(world: World, statement: str) -> None:
    ann = world.browser("ann")
    ann.read_and_lock(ann.first_case())
    with world.database.engine.begin() as connection:
        tamper(connection, statement)
    assert verify_all(world.database).findings
