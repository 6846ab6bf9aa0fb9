"""Import of cases, settings, and the commands around them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from sqlalchemy import text

from sparcc_pipeline.app.cli.reader import _night_ledger
from sparcc_pipeline.app.ledger.database import open_database
from sparcc_pipeline.app.ledger.tables import study_version
from sparcc_pipeline.app.reader.cases.from_ledger import rows_of_ledger
from sparcc_pipeline.app.reader.cases.importing import import_cases, read_known, read_manifest
from sparcc_pipeline.app.reader.settings import load_settings
from sparcc_pipeline.errors import ConfigError, InputError

from ..conftest import NOW, PASSWORD, World


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
def test_an_invalid_manifest_is_refused(tmp_path: Path, lines: str) -> None:
    file = tmp_path / "m.csv"
    file.write_text(lines)
    with pytest.raises(InputError) as found:
        read_manifest(file)
    assert "Zhang" not in str(found.value)


def test_invalid_known_items_are_refused(tmp_path: Path) -> None:
    file = tmp_path / "k.csv"
    file.write_text("participant,visit,slice_index,joint,item,value\nT1,W0,4,right,upper_iliac,7\n")
    with pytest.raises(InputError, match="row 2"):
        read_known(file)


def test_later_time_points_form_a_new_case(world: World, manifest: Path, tmp_path: Path) -> None:
    study = manifest.parent / read_manifest(manifest)[0].study.name
    file = tmp_path / "later.csv"
    file.write_text(f"participant,visit,study\nP001,W24,{study}\n")
    assert import_cases(world.database, read_manifest(file)).imported == 1
    with world.database.reading() as connection:
        rounds = connection.execute(text("SELECT round FROM reader_cases WHERE participant = 'P001'")).scalars().all()
    assert sorted(rounds) == [1, 2]


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


def test_the_auditor_downloads_the_trail(world: World) -> None:
    ann = world.browser("ann")
    ann.read_and_lock(ann.first_case())
    fay = world.browser("fay")
    lines = fay.get("/audit.csv").text.splitlines()
    assert lines[0].startswith("seq,at,who,action") and any(",ann,lock," in line for line in lines)
    pdf = fay.get("/audit.pdf")
    assert pdf.content.startswith(b"%PDF-") and pdf.headers["content-type"] == "application/pdf"
