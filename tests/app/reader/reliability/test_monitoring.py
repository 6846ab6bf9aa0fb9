"""Monitoring of readers: a planted drifting reader is found, and nothing unblinds."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sqlalchemy import Insert

from sparcc_pipeline.app.reader.cases.machine_result import NOTHING
from sparcc_pipeline.app.reader.readings.content import ITEMS, Content, JointReading, VisitReading, blank
from sparcc_pipeline.app.reader.readings.views import MachineResult
from sparcc_pipeline.app.reader.reliability.monitoring import ReaderMonitor, monitor
from sparcc_pipeline.app.reader.tables import ASSIGNMENTS, CASES, READINGS, VISITS

from ..conftest import SETTINGS, World, build

CASE_COUNT = 60
DRIFT_FROM = 30
ANN, BEN = 1, 2


def visit_with(total: int) -> VisitReading:
    """Return a reading with this total."""
    joints, left = [], total
    for joint in blank(0).joints:
        given: dict[str, Any] = dict.fromkeys(ITEMS[: min(left, len(ITEMS))], 1)
        left -= len(given)
        joints.append(JointReading(slice=joint.slice, joint=joint.joint, read=True, **given))
    return VisitReading(first=0, joints=tuple(joints), asas_positive=False, image_quality="good")


def plant(world: World, drift: float) -> None:
    """Add locked readings of both readers; Ann reads `drift` points more from one case to the next, from the middle."""
    random = np.random.default_rng(4)
    with world.database.writing() as work:
        write = work.connection.execute

        def added(statement: Insert) -> int:
            key = write(statement).inserted_primary_key
            assert key is not None
            return int(key[0])

        for number in range(CASE_COUNT):
            true = int(random.integers(6, 30))
            machine = MachineResult(**(NOTHING | {"total": true + int(random.integers(-2, 3))}), reason=None, joints=[])
            folder, _ = world.site.store.put_machine(machine, None)
            case = added(CASES.insert().values(participant=f"Q{number}", training=False, round=1))
            place = {"case_id": case, "visit": "W96", "images": f"i{number}", "machine": folder}
            visit = added(VISITS.insert().values(**place))
            for user in (ANN, BEN):
                moved = drift * max(number - DRIFT_FROM, 0) if user == ANN else 0
                total = max(round(true + float(random.normal(0, 1.5)) + moved), 0)
                given = {
                    "code": f"Q{user}-{number}",
                    "case_id": case,
                    "user_id": user,
                    "kind": "primary",
                    "repeat": 1,
                    "position": 100 + number,
                    "seed": 1,
                    "visit_order": json.dumps([visit]),
                }
                assignment = added(ASSIGNMENTS.insert().values(**given))
                content = Content(visits={"A": visit_with(total)}).model_dump_json()
                read = {
                    "assignment_id": assignment,
                    "kind": "primary",
                    "version": 1,
                    "state": "locked",
                    "revision": 1,
                    "content": content,
                    "reasons": "[]",
                    "reason": "",
                    "saved_at": "now",
                    "locked_at": f"2026-04-01T00:{number:02d}:0{user}.000+00:00",
                }
                write(READINGS.insert().values(**read))


def figures(world: World) -> dict[str, ReaderMonitor]:
    with world.database.reading() as connection:
        return {each.reader: each for each in monitor(connection, world.site.store, world.site.protocol)}


@pytest.fixture
def page(tmp_path: Path, manifest: Path) -> Iterator[World]:
    few = manifest.parent / "monitor.csv"
    few.write_text("\n".join(manifest.read_text().splitlines()[:2]))
    world = build(tmp_path, few, more=SETTINGS)
    yield world
    world.database.engine.dispose()


def test_a_planted_drifting_reader_is_found_and_the_other_is_not_blamed(page: World) -> None:
    plant(page, drift=0.25)
    found = figures(page)
    assert found["ann"].chart is not None and found["ann"].chart.drifts
    assert found["ben"].chart is not None and not found["ben"].chart.drifts
    assert found["ann"].difference is not None and found["ann"].difference > 1
    assert found["ann"].adjudicated_percent is not None


def test_steady_readers_do_not_drift(page: World) -> None:
    plant(page, drift=0.0)
    assert not any(each.chart and each.chart.drifts for each in figures(page).values())


def test_the_page_shows_no_participant_no_visit_and_no_code(page: World) -> None:
    plant(page, drift=0.25)
    text = page.browser("dee").get("/coordinator/readers").text
    assert "drifts" in text and "steady" in text and "other readers moved" in text
    assert not re.search(r"\bQ\d|W96|W0\b|P00\d", text)


def test_no_figure_is_shown_before_a_tenth_is_read(page: World) -> None:
    ann = page.browser("ann")
    assert not figures(page)["ann"].shown
    ann.read_and_lock(ann.first_case())
    one = figures(page)["ann"]
    assert one.shown and one.difference is None and one.chart is None, "one case would show its own difference"
