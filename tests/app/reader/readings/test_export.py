"""Export of readings as tables and DICOM SR; backup and restore."""

from __future__ import annotations

import csv
import shutil
import subprocess
from pathlib import Path

import pyarrow.parquet as pq
import pydicom
import pytest
from sqlalchemy import text

from sparcc_pipeline.app.reader.audit.backup import restore_backup, write_backup
from sparcc_pipeline.app.reader.readings import export_tables
from sparcc_pipeline.app.reader.readings.export import export_readings
from sparcc_pipeline.app.reader.settings import load_settings
from sparcc_pipeline.app.study.protocol_file import load_protocol
from sparcc_pipeline.app.trial_data import columns
from sparcc_pipeline.app.trial_data.read.dictionary import fields_of
from sparcc_pipeline.app.trial_data.read.fields import Place
from sparcc_pipeline.app.trial_data.read.queries import Queries
from sparcc_pipeline.app.trial_data.scores.readings import read_items, read_readings
from sparcc_pipeline.errors import BlindingError, InputError, OutputError

from ..conftest import Clock, World, open_world

LESION = [("A", 1, "right", "upper_iliac"), ("A", 1, "right", "intense")]


def rows(file: Path) -> list[dict[str, str]]:
    with file.open(newline="") as stream:
        return list(csv.DictReader(stream))


@pytest.fixture
def read(world: World) -> World:
    """A page on which both readers have read every case."""
    for name in ("ann", "ben"):
        browser = world.browser(name)
        while (code := open_code(world, name)) is not None:
            browser.read_and_lock(code, LESION)
    return world


def open_code(world: World, name: str) -> str | None:
    """Return the first open case of a reader."""
    query = text(
        "SELECT a.code FROM reader_assignments a JOIN reader_users u ON u.id = a.user_id WHERE u.name = :name AND a.id "
        "NOT IN (SELECT assignment_id FROM reader_readings WHERE state = 'locked') ORDER BY a.position"
    )
    with world.database.reading() as connection:
        row = connection.execute(query, {"name": name}).first()
    return None if row is None else str(row.code)


def test_scores_are_exported_only_after_the_database_lock_or_with_a_reason(world: World, tmp_path: Path) -> None:
    with pytest.raises(BlindingError, match="before-lock"):
        export_readings(world.database, world.settings, tmp_path / "out", None, None, force=False)
    assert not (tmp_path / "out").exists()

    export_readings(world.database, world.settings, tmp_path / "out", "safety board", None, force=False)
    with world.database.reading() as connection:
        last = connection.execute(text("SELECT * FROM reader_audit ORDER BY seq DESC LIMIT 1")).one()
    assert (last.action, last.reason) == ("export", "safety board")


def test_tables_hold_what_was_read(read: World, manifest: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    counts = export_readings(read.database, read.settings, out, "test", manifest, force=False)

    readings = rows(out / "readings.csv")
    assert len(readings) == 10 == counts["dicom"]
    assert {row["total"] for row in readings} == {"0", "2"} and {row["reader"] for row in readings} == {"R0", "R1"}
    queries = Queries()
    taken = read_readings([out / "readings.csv"], ["P001", "P002", "P003"], load_protocol(), queries)
    assert len(taken) == 10 and not queries, "sparcc trial reads the export unchanged"
    files = [out / "reading_items.csv"]
    readings_of_items = read_items(files, taken, ["P001", "P002", "P003"], load_protocol(), queries)
    assert len(readings_of_items) == 10 and not queries, "and the points of these totals"
    items = rows(out / "reading_items.csv")
    assert len(items) == 10 * 72
    assert sum(int(row["value"]) for row in items) == sum(int(row["total"]) for row in readings)
    assert {row["slice_index"] for row in items if row["slice"] == "1"} == {"4"}
    assert pq.read_table(out / "reading_items.parquet").num_rows == len(items)
    counted = rows(out / "counted.csv")
    assert len(counted) == 5 and {row["source"] for row in counted} == {"two locked readings"}
    machine = rows(out / "machine.csv")
    assert all(int(r["machine_total"]) - int(r["total"]) == int(r["difference"]) for r in machine)


def test_the_exported_columns_are_those_that_the_trial_reads() -> None:
    assert export_tables.READING_COLUMNS == columns.READINGS
    assert [each.name for each in export_tables.ITEMS] == [each.name for each in fields_of(Place.ITEM)]


def test_a_reading_as_dicom_is_a_verified_report_of_a_person(read: World, manifest: Path, tmp_path: Path) -> None:
    export_readings(read.database, read.settings, tmp_path / "out", "test", manifest, force=False)
    file = sorted((tmp_path / "out" / "dicom").glob("*R0_primary*.dcm"))[0]
    report = pydicom.dcmread(file)

    assert report.VerificationFlag == "VERIFIED" and report.CompletionFlag == "COMPLETE"
    assert str(report.VerifyingObserverSequence[0].VerifyingObserverName) == "Reader^R0"
    assert report.PatientID == "SECRETID-P001"
    assert "121006" in str(report), "the observer is a person"
    if shutil.which("dciodvfy") is None:
        pytest.skip("what follows needs dciodvfy (Debian package dicom3tools)")
    checked = subprocess.run(["dciodvfy", str(file)], capture_output=True, text=True, check=False)
    assert not [line for line in checked.stderr.splitlines() if line.startswith("Error")], checked.stderr


def test_dicom_is_refused_for_other_images(read: World, training: tuple[Path, Path], tmp_path: Path) -> None:
    other = tmp_path / "other.csv"
    study = next(training[0].parent.glob("SECRETFILE-T4-*"))
    other.write_text(f"participant,visit,study\nP001,W0,{study}\n")

    with pytest.raises(InputError, match="images that were read"):
        export_readings(read.database, read.settings, tmp_path / "out", "test", other, force=False)
    assert not (tmp_path / "out").exists()


def test_a_backup_comes_back_whole_while_the_page_is_used(world: World, tmp_path: Path) -> None:
    ann = world.browser("ann")
    code = ann.first_case()
    ann.read_and_lock(code, LESION)
    file = tmp_path / "backup.tar"
    write_backup(world.database, world.settings, file)
    ann.read(str(open_code(world, "ann")))
    assert file.stat().st_mode & 0o077 == 0

    other = tmp_path / "elsewhere"
    other.mkdir()
    (other / "reader.toml").write_text((tmp_path / "page" / "reader.toml").read_text())
    settings = load_settings(other / "reader.toml")
    restore_backup(settings, file)
    restored = open_world(settings, Clock())

    assert restored.database.verify().sound
    again = restored.browser("ann")
    assert again.case(code)["reading"]["state"] == "locked"
    assert (
        again.get(f"/api/cases/{code}/images/A/stir/5").content == ann.get(f"/api/cases/{code}/images/A/stir/5").content
    )
    with pytest.raises(OutputError, match="in use"):
        restore_backup(settings, file)
    with pytest.raises(OutputError, match="which exists"):
        write_backup(world.database, world.settings, file)
    restored.database.engine.dispose()


def test_a_damaged_backup_is_refused(world: World, tmp_path: Path) -> None:
    other = tmp_path / "elsewhere"
    other.mkdir()
    (other / "reader.toml").write_text("")
    (other / "no.tar").write_bytes(b"no archive at all" * 100)
    with pytest.raises(InputError):
        restore_backup(load_settings(other / "reader.toml"), other / "no.tar")
