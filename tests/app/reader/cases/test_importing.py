"""Cases: how they come in, how they are given out, calibration, adjudication, settings."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import select, text

from sparcc_pipeline.app.cli.reader import _night_ledger
from sparcc_pipeline.app.ledger.database import open_database
from sparcc_pipeline.app.ledger.tables import study_version
from sparcc_pipeline.app.reader.cases.from_ledger import rows_of_ledger
from sparcc_pipeline.app.reader.cases.importing import import_cases, read_known, read_manifest
from sparcc_pipeline.app.reader.readings.adjudication import differ
from sparcc_pipeline.app.reader.readings.assignments import assign
from sparcc_pipeline.app.reader.settings import load_settings
from sparcc_pipeline.app.reader.tables import ASSIGNMENTS, USERS
from sparcc_pipeline.app.study.protocol_file import load_protocol
from sparcc_pipeline.errors import ConfigError, InputError

from ..conftest import NOW, PASSWORD, Browser, Opener, World

CODE = r"\b[A-Z2-9]{5}-[A-Z2-9]{5}\b"
UPPER_LEFT = [("A", number, "left", "upper_iliac") for number in range(1, 7)]


def open_case(browser: Browser, page: str) -> str | None:
    """The code of the case that is open on a page."""
    for code in re.findall(CODE, browser.get(page).text):
        answer = browser.get(f"/api/cases/{code}")
        if answer.status_code == 200 and answer.json()["reading"]["state"] == "open":
            return str(code)
    return None


def test_an_import_can_be_run_again_and_one_bad_row_stops_no_other(
    world: World, manifest: Path, tmp_path: Path
) -> None:
    rows = manifest.read_text().splitlines()
    first = rows[1].split(",")
    lines = [
        rows[0],
        *(f"{manifest.parent}/".join([f"{p},{v},", f"{s},", sc]) for p, v, s, sc in (r.split(",") for r in rows[1:2])),
        f"P009,W0,{tmp_path / 'nothing'},",
        f"P010,W0,{manifest.parent / first[2]},",
        f"P011,W0,{manifest.parent / first[2]},{manifest.parent / 'nothing'}",
    ]
    file = tmp_path / "more.csv"
    file.write_text("\n".join(lines))

    report = import_cases(world.database, read_manifest(file))

    assert (report.imported, report.present) == (1, 1)
    assert [number for number, _ in report.failed] == [3, 5]
    again = import_cases(world.database, read_manifest(file))
    assert (again.imported, again.present) == (0, 2)


def test_cases_come_from_the_ledger_of_the_night(world: World, manifest: Path, tmp_path: Path) -> None:
    work = tmp_path / "work"
    work.mkdir()
    nightly = tmp_path / "nightly.toml"
    paths = f'[paths]\nidentity_folder = "{tmp_path / "identity"}"\nwork_folder = "{work}"\n'
    nightly.write_text(paths + '[[site]]\ncode = "S1"\nname = "One"\nmanifest = "m.csv"\n')
    engine = open_database(f"sqlite:///{work / 'ledger.sqlite'}")
    study = {
        "site": "S1",
        "received_at": NOW,
        "study_folder": f"{manifest.parent}/SECRETFILE-P001-W0",
        "result_folder": f"{manifest.parent}/scores/P001-W0",
        "visit": "W0",
        "facts": {},
    }
    with engine.begin() as connection:
        for number, (participant, state, newer) in enumerate(
            [
                ("P501", "delivered", None),
                ("P501", "delivered", 1),
                ("P502", "quarantined", None),
                (None, "scored", None),
            ]
        ):
            own = {"id": number + 1, "study_key": f"k{number}", "content_key": f"c{number}"}
            what = {"participant": participant, "state": state, "superseded_by": newer}
            connection.execute(study_version.insert().values(study | own | what))
    engine.dispose()

    rows = rows_of_ledger(_night_ledger(nightly), lambda: NOW)

    assert [(row.participant, row.visit) for row in rows] == [("P501", "W0")]
    assert import_cases(world.database, rows).imported == 1


def test_a_score_of_another_series_is_refused(world: World, manifest: Path, tmp_path: Path) -> None:
    from dataclasses import replace

    from sparcc_pipeline.dicom.write import write_mr_series

    from ...conftest import make_stir

    stir = make_stir()
    moved = replace(stir, geometry=replace(stir.geometry, origin_mm=(-80.0, -40.0, 60.0)))
    write_mr_series(moved, tmp_path / "moved", style="siemens", patient_id="X", seed="moved")
    file = tmp_path / "m.csv"
    file.write_text(f"participant,visit,study,score\nP020,W0,moved,{manifest.parent / 'scores' / 'P001-W0'}\n")

    report = import_cases(world.database, read_manifest(file))

    assert len(report.failed) == 1 and "same series" in str(report.failed[0][1])
    assert not [path for path in (tmp_path / "page" / "reader" / "images").iterdir() if not any(path.iterdir())]


@pytest.mark.parametrize(
    "lines", ["participant,visit\nP1,W0", "participant,visit,study\nZhang San,W0,x", "participant,visit,study\nP1,,x"]
)
def test_a_manifest_that_is_none_is_refused(tmp_path: Path, lines: str) -> None:
    file = tmp_path / "m.csv"
    file.write_text(lines)
    with pytest.raises(InputError) as found:
        read_manifest(file)
    assert "Zhang" not in str(found.value)


def test_known_items_that_are_none_are_refused(tmp_path: Path) -> None:
    file = tmp_path / "k.csv"
    file.write_text("participant,visit,slice_index,joint,item,value\nT1,W0,4,right,upper_iliac,7\n")
    with pytest.raises(InputError, match="row 2"):
        read_known(file)


def test_time_points_that_come_later_make_a_case_of_their_own(world: World, manifest: Path, tmp_path: Path) -> None:
    study = manifest.parent / read_manifest(manifest)[0].study.name
    file = tmp_path / "later.csv"
    file.write_text(f"participant,visit,study\nP001,W24,{study}\n")
    assert import_cases(world.database, read_manifest(file)).imported == 1
    with world.database.reading() as connection:
        rounds = connection.execute(text("SELECT round FROM reader_cases WHERE participant = 'P001'")).scalars().all()
    assert sorted(rounds) == [1, 2]


@pytest.mark.parametrize("share", [0.0, 0.4, 1.0])
def test_every_reader_has_an_order_of_his_own_and_repeats_come_after(world: World, share: float) -> None:
    settings = world.settings.reading.model_copy(update={"repeat_share": share, "second_opinion": "off"})
    many = range(100, 160)
    with world.database.writing() as work:
        connection = work.connection
        connection.execute(text("DELETE FROM reader_assignments"))
        for case in many:
            connection.execute(text(f"INSERT INTO reader_cases VALUES ({case}, 'P{case}', false, 1)"))
            connection.execute(
                text(f"INSERT INTO reader_visits (case_id, visit, images) VALUES ({case}, 'W0', 'i{case}')")
            )
            connection.execute(
                text(f"INSERT INTO reader_visits (case_id, visit, images) VALUES ({case}, 'W1', 'j{case}')")
            )
        users = {row.name: row for row in connection.execute(select(USERS))}
        assert assign(work, users["ann"], many, settings, by="dee") == 60
        assert assign(work, users["ben"], many, settings, by="dee") == 60
        assert assign(work, users["ann"], many, settings, by="dee") == 0, "a second time gives nothing twice"
        rows = list(connection.execute(select(ASSIGNMENTS).order_by(ASSIGNMENTS.c.position)))
    orders, codes = {}, [row.code for row in rows]
    for name in ("ann", "ben"):
        mine = [row for row in rows if row.user_id == users[name].id]
        order = orders[name] = [row.case_id for row in mine if row.repeat == 1]
        assert sorted(order) == list(many) and order != sorted(order)
        repeats = [row.case_id for row in mine if row.repeat == 2]
        assert abs(len(repeats) / 60 - share) < 0.25 and len(set(repeats)) == len(repeats)
        place = {(row.case_id, row.repeat): number for number, row in enumerate(mine)}
        assert all(place[case, 2] - place[case, 1] >= 3 for case in repeats)
        assert 0 < sum(json.loads(row.visit_order)[0] % 2 for row in mine) < len(mine)
    assert orders["ann"] != orders["ben"] and len(set(codes)) == len(codes)


def test_the_training_set_opens_the_real_cases_when_it_is_read_well(opened: Opener) -> None:
    world = opened(calibration={"required": True, "visits": 3, "icc": 0.8})
    ann = world.browser("ann")
    assert ann.get("/calibration").status_code == 200
    with world.database.reading() as connection:
        query = text(
            "SELECT a.code, v.known FROM reader_assignments a JOIN reader_visits v ON v.case_id = a.case_id "
            "WHERE a.kind = 'training'"
        )
        known = {row.code: json.loads(row.known) for row in connection.execute(query)}
    seen = []
    while (code := open_case(ann, "/calibration")) is not None:
        assert ann.get(f"/api/cases/{code}/feedback").json()["error"]["code"] == "not_opened"
        points = [place for place, value in known[code].items() if value]
        wanted = [("A", int(place.split(".")[0]) - 3, *place.split(".")[1:]) for place in points]
        ann.read_and_lock(code, wanted)
        feedback = ann.get(f"/api/cases/{code}/feedback").json()
        assert feedback["visits"]["A"]["differences"] == []
        assert feedback["visits"]["A"]["total"] == feedback["visits"]["A"]["known_total"] == len(points)
        seen.append(feedback["agreement"])
    assert [each["visits"] for each in seen] == [1, 2, 3, 3] and seen[-1]["passed"] and seen[-1]["icc"] == 1.0
    assert open_case(ann, "/worklist") is not None
    assert ann.form("/calibration/repeat").status_code == 409


def test_who_does_not_pass_reads_the_set_again_under_other_codes(opened: Opener) -> None:
    world = opened(calibration={"required": True, "visits": 3, "icc": 0.8})
    ann = world.browser("ann")
    codes, found, number = set(), [], 6
    ann.get("/calibration")
    while (code := open_case(ann, "/calibration")) is not None:
        codes.add(code)
        ann.read_and_lock(code, UPPER_LEFT[:number])
        number = 6 - number
        feedback = ann.get(f"/api/cases/{code}/feedback").json()
        found += feedback["visits"]["A"]["differences"]
    assert feedback["agreement"]["passed"] is False and found
    assert open_case(ann, "/worklist") is None
    assert ann.form("/calibration/repeat").status_code == 303
    again = open_case(ann, "/calibration")
    assert again is not None and again not in codes


def code_of(world: World, name: str, participant: str) -> str:
    query = text(
        "SELECT a.code FROM reader_assignments a JOIN reader_users u ON u.id = a.user_id JOIN reader_cases c "
        "ON c.id = a.case_id WHERE u.name = :name AND c.participant = :participant"
    )
    with world.database.reading() as connection:
        return str(connection.execute(query, {"name": name, "participant": participant}).scalar_one())


def test_a_case_on_which_readers_differ_goes_to_a_third_who_sees_neither(world: World) -> None:
    ann, ben, cem = (world.browser(name) for name in ("ann", "ben", "cem"))
    points = {code_of(world, "ann", "P003"): UPPER_LEFT}
    for browser in (ann, ben):
        while (code := open_case(browser, "/worklist")) is not None:
            browser.read_and_lock(code, points.get(code, []))

    code = open_case(cem, "/worklist")
    assert code is not None and len(re.findall(CODE, cem.get("/worklist").text.replace(code, "", 0))) >= 1
    case = cem.case(code)
    assert (case["mode"], case["second_opinion"], case["reading"]["kind"]) == ("adjudication", "off", "adjudication")
    assert all(not joint["read"] for joint in case["reading"]["content"]["visits"]["A"]["joints"])
    with world.database.reading() as connection:
        given = (
            connection.execute(
                text(
                    "SELECT c.participant FROM reader_assignments a JOIN reader_cases c ON c.id = a.case_id "
                    "WHERE a.kind = 'adjudication'"
                )
            )
            .scalars()
            .all()
        )
    assert given == ["P003"]
    cem.read_and_lock(code, UPPER_LEFT)
    assert cem.get(f"/case/{code}/second-opinion").status_code == 403
    page = world.browser("dee").get("/coordinator").text
    assert "P003" in page and "cem" in page


def test_the_coordinator_gives_a_case_to_an_adjudicator_only_where_one_is_needed(world: World) -> None:
    dee = world.browser("dee")
    assert dee.form("/coordinator/adjudicator", case="1", adjudicator="cem").status_code == 422
    assert dee.form("/coordinator/assign", reader="cem").status_code == 422
    assert dee.form("/coordinator/assign", reader="ann", case="999").status_code == 422


PROTOCOL = load_protocol()


@pytest.mark.parametrize(
    ("first", "second", "needed"),
    [
        ({"W0": 10, "W12": 10}, {"W0": 13, "W12": 13}, False),
        ({"W0": 10}, {"W0": 14}, True),
        ({"W0": 10, "W12": 8}, {"W0": 12, "W12": 6}, True),  # changes of -2 and -6
        ({"W0": 1}, {"W0": 2}, True),  # remission: yes and no
        ({"W0": 2}, {"W0": 3}, True),  # the same, as far as the protocol leaves "under 2" or "up to 2" open
        ({"W0": 0}, {"W0": 1}, False),
        ({"W0": None}, {"W0": 20}, False),
        ({"W12": 10, "W24": 8}, {"W12": 12, "W24": 6}, False),  # no baseline here: no change
    ],
)
def test_when_a_third_reader_is_needed(
    first: dict[str, int | None], second: dict[str, int | None], needed: bool
) -> None:
    assert differ(first, second, PROTOCOL) is differ(second, first, PROTOCOL) is needed


@given(st.dictionaries(st.sampled_from(["W0", "W12", "W24"]), st.one_of(st.none(), st.integers(0, 72))))
def test_a_reading_never_differs_from_itself(totals: dict[str, int | None]) -> None:
    assert not differ(totals, totals, PROTOCOL)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("[server]\nhost = '0.0.0.0'", "sent unencrypted"),
        ("[reading]\nsecond_opinion = 'each'", "would not be blind"),
        ("[reading]\nsecond_opinnion = 'all'", "second_opinnion"),
        ("[session]\nshortest_password = 3", "session.shortest_password"),
        ("folder = '/etc'", "folder"),
        ("[paths", "an error"),
    ],
)
def test_wrong_settings_are_named(tmp_path: Path, content: str, expected: str) -> None:
    file = tmp_path / "reader.toml"
    file.write_text(content)
    with pytest.raises(ConfigError, match=expected):
        load_settings(file)


def test_a_user_is_added_and_signs_in_with_the_password_that_was_shown_once(world: World) -> None:
    eva = world.browser("eva")
    page = eva.form("/users", name="gus", code="R9", role="reader")
    assert page.status_code == 200
    with world.database.reading() as connection:
        assert connection.execute(text("SELECT must_change FROM reader_users WHERE name = 'gus'")).scalar_one()
    words = r"(?<![\w-])[\w-]{16}(?![\w-])"
    shown = sorted(set(re.findall(words, page.text)) - set(re.findall(words, eva.get("/users").text)))
    assert len(shown) == 1 and world.browser().sign_in("gus", shown[0]).status_code == 303
    assert eva.form("/users/active", name="gus", active="0").status_code == 303
    assert world.browser().sign_in("gus", shown[0]).status_code == 401
    assert eva.form("/users/active", name="eva", active="0").status_code == 409
    assert PASSWORD not in page.text


def test_the_auditor_takes_the_trail_away(world: World) -> None:
    ann = world.browser("ann")
    ann.read_and_lock(ann.first_case())
    fay = world.browser("fay")
    lines = fay.get("/audit.csv").text.splitlines()
    assert lines[0].startswith("seq,at,who,action") and any(",ann,lock," in line for line in lines)
    pdf = fay.get("/audit.pdf")
    assert pdf.content.startswith(b"%PDF-") and pdf.headers["content-type"] == "application/pdf"
