"""The morning in the browser: what waits, the decisions of a coordinator, and a site that sees its own only."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from sparcc_pipeline.app.ledger.database import open_database
from sparcc_pipeline.app.ledger.ledger import FileRecord, Ledger, UploadRecord
from sparcc_pipeline.app.ledger.states import State, UploadState
from sparcc_pipeline.app.nightly.desk import NightDesk
from sparcc_pipeline.app.nightly.intake.identity_map import Instance
from sparcc_pipeline.app.nightly.intake.identity_store import IdentityStore
from sparcc_pipeline.app.reader.tables import AUDIT
from sparcc_pipeline.message import Message

from ..conftest import NOW, World, open_copy

SETTINGS = """
[paths]
identity_folder = "identity"
work_folder = "work"
[report]
time_zone = "UTC"
whose_in_browser = {whose}
[[site]]
code = "S01"
name = "Hospital one"
manifest = "S01.csv"
users = ["sid"]
[[site]]
code = "S02"
name = "Hospital <two>"
manifest = "S02.csv"
"""
LEASE = timedelta(minutes=10)


@dataclass
class Morning:
    """A page with a night: study 1 of S01 waits for slices, study 2 of S02 failed, an upload of S02 is quarantined."""

    folder: Path
    world: World
    ledger: Ledger

    def study(self, site: str, participant: str, *, visit: str = "W0") -> int:
        """Add a study that waits for its first step."""
        number = len(self.ledger.versions()) + 1
        upload = f"inbox-{number}"
        self.ledger.record_upload(UploadRecord(upload, site, "inbox", [FileRecord(f"{number}", 10, f"{number}")]))
        version = self.ledger.record_study(site, f"study-{number}", f"content-{number}", [upload], {"instances": 14})
        self.ledger.close_upload(upload, UploadState.SORTED)
        self.ledger.assign(version.id, participant, visit)
        return version.id

    def hold(self, site: str, participant: str, reason: Message, **facts: Any) -> int:
        """Add a study in quarantine."""
        number = self.study(site, participant)
        self.ledger.quarantine(self.claimed(), reason, facts)
        return number

    def claimed(self) -> Any:
        found = self.ledger.claim(State.RECEIVED, "night", LEASE, 5)
        assert found is not None
        return found

    def entries(self) -> list[tuple[str, str, str, str]]:
        """Return who, action, subject and reason of the entries of the night in the audit trail."""
        columns = AUDIT.c
        query = select(columns.who, columns.action, columns.subject, columns.reason).order_by(columns.seq)
        with self.world.database.reading() as connection:
            rows = connection.execute(query.where(columns.action.startswith("night_"))).all()
        return [tuple(row) for row in rows]


def write_settings(folder: Path, *, whose: bool = True) -> Path:
    file = folder / "nightly.toml"
    file.write_text(SETTINGS.format(whose="true" if whose else "false"))
    return file


@pytest.fixture
def morning(tmp_path: Path, prepared: Path) -> Iterator[Morning]:
    file = write_settings(tmp_path)
    engine = open_database(f"sqlite:///{tmp_path / 'work' / 'ledger.sqlite'}")
    ledger = Ledger(engine, lambda: NOW, 5)
    world = open_copy(prepared, tmp_path / "page", NightDesk(file, lambda: NOW))
    found = Morning(tmp_path, world, ledger)
    found.hold("S01", "P001", Message("the STIR series has a gap"), waits_for="slices")
    found.study("S02", "P002")
    ledger.fail(found.claimed(), Message("it failed: {error}", error="disk full"), None)
    ledger.record_upload(UploadRecord("inbox-bad", "S02", "inbox", []))
    ledger.close_upload("inbox-bad", UploadState.QUARANTINED, Message("cannot be read"))
    yield found
    engine.dispose()
    world.database.engine.dispose()


def test_a_coordinator_sees_what_waits_at_all_sites_and_why(morning: Morning) -> None:
    page = morning.world.browser("dee").get("/night")

    assert page.status_code == 200
    for text in ("S01 · P001", "The STIR series has a gap", "S02 · P002", "disk full", "inbox-bad", "Cannot be read"):
        assert text in page.text
    assert "Hospital &lt;two&gt;" in page.text and "<two>" not in page.text
    assert 'src="data:image/svg+xml' in page.text
    assert re.search(r"Needs you today</dt><dd>3<", page.text)


def test_a_site_sees_its_own_without_decisions(morning: Morning) -> None:
    page = morning.world.browser("sid").get("/night").text

    assert "P001" in page and "The STIR series has a gap" in page
    for other in ("P002", "inbox-bad", "Hospital", "disk full"):
        assert other not in page.replace("Hospital one", "")
    assert 'action="/night/' not in page


def test_an_account_that_no_site_names_sees_nothing(morning: Morning) -> None:
    file = morning.folder / "nightly.toml"
    file.write_text(file.read_text().replace('users = ["sid"]', ""))
    sid = morning.world.browser("sid")
    assert sid.get("/night").status_code == 403 and sid.get("/api/night").status_code == 403


def test_a_site_notices_nothing_of_others(morning: Morning) -> None:
    sid, dee = morning.world.browser("sid"), morning.world.browser("dee")
    before = sid.get("/api/night").json(), dee.get("/api/night").json()
    assert 0 < before[0]["newest"] < before[1]["newest"]

    morning.ledger.release_upload("inbox-bad", "looked at", "Li")

    assert sid.get("/api/night").json() == before[0] and dee.get("/api/night").json() != before[1]


def test_decisions_are_those_of_the_command_line_and_are_recorded(morning: Morning) -> None:
    dee = morning.world.browser("dee")

    assert dee.form("/night/release", study="1", reason=" looked at it ").status_code == 303
    assert dee.form("/night/release", study="inbox-bad", reason="the file was removed").status_code == 303
    assert dee.form("/night/retry", study="2").status_code == 303

    assert [version.state for version in morning.ledger.versions()] == [State.RECEIVED, State.RECEIVED]
    assert morning.ledger.version(1).facts["released"] == {"by": "dee", "reason": "looked at it", "at": NOW.isoformat()}
    assert morning.ledger.uploads(UploadState.QUARANTINED) == []
    assert morning.entries() == [
        ("dee", "night_release", "1", "looked at it"),
        ("dee", "night_release", "inbox-bad", "the file was removed"),
        ("dee", "night_retry", "2", ""),
    ]
    assert morning.world.database.verify().sound


def test_a_rejected_study_waits_for_its_site(morning: Morning) -> None:
    dee = morning.world.browser("dee")
    assert dee.form("/night/reject", study="1", reason="wrong patient").status_code == 303
    assert "wrong patient" in morning.world.browser("sid").get("/night").text
    assert morning.ledger.version(1).state == State.REJECTED


def test_one_of_two_studies_of_a_visit_replaces_the_other(morning: Morning) -> None:
    first = morning.study("S01", "P009")
    morning.ledger.finish(morning.claimed())
    second = morning.hold("S01", "P009", Message("already has study {others}", others=(first,)))
    dee = morning.world.browser("dee")
    assert f"Let it replace study {first}" in dee.get("/night").text

    assert dee.form("/night/supersede", old=str(first), new=str(second)).status_code == 303

    assert morning.ledger.version(first).superseded_by == second
    assert morning.entries() == [("dee", "night_supersede", f"{first} {second}", "")]


@pytest.mark.parametrize(
    ("path", "fields", "status"),
    [
        ("/night/retry", {"study": "1"}, 409),
        ("/night/release", {"study": "2", "reason": "x"}, 409),
        ("/night/release", {"study": "99", "reason": "x"}, 409),
        ("/night/release", {"study": "inbox-none", "reason": "x"}, 409),
        ("/night/release", {"study": "1", "reason": "  "}, 422),
        ("/night/release", {"study": "../x", "reason": "x"}, 422),
        ("/night/reject", {"study": "inbox-bad", "reason": "x"}, 422),
        ("/night/supersede", {"old": "1", "new": "2"}, 409),
    ],
)
def test_a_decision_that_does_not_fit_changes_and_records_nothing(
    morning: Morning, path: str, fields: dict[str, str], status: int
) -> None:
    before = morning.ledger.newest_event()
    answer = morning.world.browser("dee").form(path, **fields)
    assert answer.status_code == status
    assert morning.ledger.newest_event() == before and morning.entries() == []


@pytest.mark.parametrize("path", ["/night/release", "/night/retry", "/night/whose"])
def test_a_decision_needs_the_token_of_the_page(morning: Morning, path: str) -> None:
    answer = morning.world.browser("dee").post(path, data={"study": "1", "reason": "x"})
    assert answer.status_code == 403 and morning.entries() == []


def test_whose_a_study_is_is_recorded_before_it_is_shown(morning: Morning) -> None:
    store = IdentityStore.open(morning.folder / "identity")
    fields = ("uid", "series", "0031077", "A-<5>", "20260301")
    store.identities.add([Instance("S01", "inbox-1", "1", "study-1", "1", "d", *fields, 0.0, "MR")])
    dee = morning.world.browser("dee")

    page = dee.form("/night/whose", study="1")

    assert page.status_code == 200 and "0031077" in page.text and "A-&lt;5&gt;" in page.text
    assert page.headers["cache-control"] == "no-store"
    assert "0031077" not in dee.get("/night").text
    assert morning.entries() == [("dee", "night_whose", "1", "")]


def test_whose_is_off_unless_the_settings_allow_it(morning: Morning) -> None:
    write_settings(morning.folder, whose=False)
    dee = morning.world.browser("dee")
    assert "/night/whose" not in dee.get("/night").text
    assert dee.form("/night/whose", study="1").status_code == 403 and morning.entries() == []


def test_what_failed_in_the_night_itself_is_first(morning: Morning) -> None:
    morning.ledger.record_problems("night", "all", [Message("it failed: {error}", error="the inbox is not there")])
    page = morning.world.browser("dee").get("/night").text
    assert page.index("the inbox is not there") < page.index("Needs you today")
    assert "the inbox is not there" not in morning.world.browser("sid").get("/night").text
    before = morning.ledger.newest_event()
    morning.ledger.record_problems("night", "all", [Message("it failed: {error}", error="the inbox is not there")])
    assert morning.ledger.newest_event() == before
    morning.ledger.record_problems("night", "all", [])
    assert "the inbox is not there" not in morning.world.browser("dee").get("/night").text


def test_a_page_that_asks_by_itself_keeps_no_session_alive(morning: Morning) -> None:
    dee, idle = morning.world.browser("dee"), morning.world.settings.session.idle_minutes
    for _ in range(idle + 1):
        morning.world.clock.pass_time(minutes=1)
        answer = dee.get("/api/night")
    assert answer.status_code == 401


def test_no_score_and_no_page_of_a_score_is_shown(morning: Morning) -> None:
    morning.study("S01", "P010")
    version = morning.claimed()
    for state in (State.RECEIVED, State.COMPLETE, State.DEIDENTIFIED):
        held = version if state == State.RECEIVED else morning.ledger.claim(state, "night", LEASE, 5)
        assert held is not None
        morning.ledger.finish(held, {"total": 47} if state == State.DEIDENTIFIED else {})
    page = re.sub(r'src="data:[^"]*"', "", morning.world.browser("dee").get("/night").text)
    assert "47" not in page and "report.html" not in page


def test_without_a_night_its_addresses_do_not_exist(world: World) -> None:
    dee = world.browser("dee")
    assert dee.get("/night").status_code == 404 and "/night" not in dee.get("/coordinator").text


def test_a_ledger_that_is_down_does_not_stop_the_reading_page(tmp_path: Path, prepared: Path) -> None:
    file = write_settings(tmp_path)
    (tmp_path / "work").write_text("no folder")
    world = open_copy(prepared, tmp_path / "page", NightDesk(file, lambda: datetime.now(UTC)))
    dee = world.browser("dee")
    assert dee.get("/night").status_code == 500 and dee.get("/coordinator").status_code == 200
    world.database.engine.dispose()
