"""Import studies and their scores as cases of the reading page, without any header.

Contents: `import_cases`, `read_manifest`, `read_known`. A manifest (CSV or Excel) has the columns participant, visit,
study (folder of DICOM, relative to the manifest's own folder) and score (folder of `sparcc score`, or empty). A
training set also has a table of its known items in the form of `reading_items.csv` (participant, visit, slice_index,
joint, item, value).
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from sqlalchemy import Connection, func, select

from sparcc_pipeline.app.reader.audit.trail import digest_of, plain
from sparcc_pipeline.app.reader.cases.image_view import view_images
from sparcc_pipeline.app.reader.cases.levels import cases_of, match_levels
from sparcc_pipeline.app.reader.cases.machine_result import machine_result, overlay_of, read_score
from sparcc_pipeline.app.reader.cases.picture_store import IMAGES, MACHINE, PictureStore, as_uint16
from sparcc_pipeline.app.reader.database import SYSTEM, ReaderDatabase
from sparcc_pipeline.app.reader.readings.content import ITEMS, LABELS
from sparcc_pipeline.app.reader.tables import ASSIGNMENTS, CASES, VISITS
from sparcc_pipeline.app.results.table_reader import read_table
from sparcc_pipeline.app.study.images import Request, read_study
from sparcc_pipeline.app.study.saved_study import STUDY_FILE, load_study
from sparcc_pipeline.app.study.score import CHOSEN_BY_USER, Segmented, require_not_cut
from sparcc_pipeline.errors import InputError, SparccError, TooFewSlicesError
from sparcc_pipeline.sparcc.slices import SLICES_SCORED, SixSlices
from sparcc_pipeline.volume import sacroiliac_bones, same_geometry

Known = Mapping[str, int | None]
"""Known items of a training visit, by "slice_index.joint.item"."""

SAME_PLACE_MM: Final = 0.01
_NAME: Final = re.compile(r"[A-Za-z0-9_-]{1,32}")


@dataclass(frozen=True)
class ManifestRow:
    """One time point to import; `number` is its row in a spreadsheet."""

    number: int
    participant: str
    visit: str
    study: Path
    score: Path | None


@dataclass(frozen=True)
class ImportReport:
    """Numbers of time points imported and already present, and the rows that failed with their errors."""

    imported: int
    present: int
    failed: tuple[tuple[int, SparccError], ...]


def read_manifest(file: Path) -> list[ManifestRow]:
    """Return the rows of a manifest.

    Raises
    ------
    InputError : the file cannot be read, lacks a column, or has a row that is not valid
    """
    table = read_table(file)
    if lacking := {"participant", "visit", "study"} - set(table.columns):
        raise InputError(
            f"expected the columns participant, visit, study in {file.name}, found no {min(lacking)}; add it"
        )
    rows = []
    for row in table.rows:
        cells = {name: "" if value is None else str(value).strip() for name, value in row.cells.items()}
        for name in ("participant", "visit"):
            if not _NAME.fullmatch(cells[name]):
                raise InputError(
                    f"expected letters, digits, - and _ (at most 32) as {name} in {file.name}, row {row.number}, found "
                    "something else; give the trial's own number, never a name"
                )
        score = cells.get("score", "")
        study = file.parent / cells["study"]
        rows.append(
            ManifestRow(row.number, cells["participant"], cells["visit"], study, file.parent / score if score else None)
        )
    return rows


def read_known(file: Path) -> dict[tuple[str, str], dict[str, int | None]]:
    """Return the known items of a training set, by participant and visit.

    Raises
    ------
    InputError : the file cannot be read, lacks a column, or has a row that is not valid
    """
    table = read_table(file)
    needed = {"participant", "visit", "slice_index", "joint", "item", "value"}
    if lacking := needed - set(table.columns):
        raise InputError(f"expected the columns of reading_items.csv in {file.name}, found no {min(lacking)}; add it")
    known: dict[tuple[str, str], dict[str, int | None]] = {}
    for row in table.rows:
        c = {name: "" if value is None else str(value).strip() for name, value in row.cells.items()}
        good = c["slice_index"].isdigit() and c["joint"] in ("right", "left") and c["item"] in ITEMS
        if not good or c["value"] not in ("0", "1", ""):
            raise InputError(
                f"expected slice_index, joint, item and a value of 0, 1 or empty in {file.name}, row {row.number}, "
                "found something else; correct the row"
            )
        place = f"{int(c['slice_index'])}.{c['joint']}.{c['item']}"
        known.setdefault((c["participant"], c["visit"]), {})[place] = int(c["value"]) if c["value"] else None
    return known


def import_cases(
    database: ReaderDatabase,
    rows: Iterable[ManifestRow],
    *,
    known: Mapping[tuple[str, str], Known] | None = None,
    progress: Callable[[str], None] = lambda _: None,
) -> ImportReport:
    """Import time points; a row that fails does not stop the others, a time point already present stays unchanged.

    Parameters
    ----------
    known : known items of a training set; None for the cases of the trial
    """
    imported, present, failed = [], 0, []
    for row in rows:
        progress(f"Row {row.number}")
        try:
            if _is_present(database, row, training=known is not None):
                present += 1
                continue
            imported.append(_import(database, row, known))
        except SparccError as error:
            failed.append((row.number, error))
    for case in cases_of(database, imported):
        progress("Matching the levels of a case")
        match_levels(database, PictureStore(database.folder), case)
    return ImportReport(len(imported), present, tuple(failed))


def _is_present(database: ReaderDatabase, row: ManifestRow, *, training: bool) -> bool:
    with database.reading() as connection:
        return (
            connection.execute(
                select(VISITS.c.id)
                .join(CASES, CASES.c.id == VISITS.c.case_id)
                .where(
                    CASES.c.participant == row.participant, CASES.c.training == training, VISITS.c.visit == row.visit
                )
            ).first()
            is not None
        )


def _import(database: ReaderDatabase, row: ManifestRow, known: Mapping[tuple[str, str], Known] | None) -> str:
    """Import one time point; return its folder of images."""
    true = None if known is None else known.get((row.participant, row.visit))
    if known is not None and not true:
        raise InputError("expected known items of this training visit, found none; add them to the table")
    study = read_study(row.study, Request())
    if study.stir.geometry.shape[0] < SLICES_SCORED:
        raise TooFewSlicesError(f"expected at least {SLICES_SCORED} slices, found {study.stir.geometry.shape[0]}")
    document = None if row.score is None else read_score(row.score)
    segmented, slices = _segmented(row.score, study.stir.geometry)
    if slices is not None and slices.chosen_by != CHOSEN_BY_USER:
        require_not_cut(study, slices)
    view = view_images(study.stir, study.t1, None if segmented is None else segmented.joints, slices)
    store = PictureStore(database.folder)
    t1 = None if study.t1 is None else as_uint16(study.t1.signal)
    images, digests = store.put_images(view, as_uint16(study.stir.signal), t1)
    machine = None
    if document is not None:
        overlay = None if segmented is None else overlay_of(segmented)
        bones = None if segmented is None else sacroiliac_bones(segmented.tissue.anatomy)
        machine, more = store.put_machine(machine_result(document, segmented, slices), overlay, bones)
        digests |= more
    try:
        _insert(database, row, true, {"images": images, "machine": machine}, digests)
    except BaseException:
        store.remove(IMAGES, images)
        if machine is not None:
            store.remove(MACHINE, machine)
        raise
    return images


def _segmented(score: Path | None, geometry: Any) -> tuple[Segmented | None, SixSlices | None]:
    """Return the saved result of a score, if there is one; the score must belong to these images."""
    if score is None or not (score / STUDY_FILE).is_file():
        return None, None
    segmented, slices = load_study(score)
    if not same_geometry(segmented.study.stir.geometry, geometry, SAME_PLACE_MM):
        raise InputError(
            "expected a score of the same series, found one with other slices or another position; correct the path of "
            "the score or of the study"
        )
    return segmented, slices


def _insert(
    database: ReaderDatabase,
    row: ManifestRow,
    true: Known | None,
    folders: Mapping[str, str | None],
    digests: Mapping[str, str],
) -> None:
    training = true is not None
    known = None if true is None else json.dumps(true, sort_keys=True)
    with database.writing() as work:
        case, number = _case_for(work.connection, row.participant, training)
        work.connection.execute(VISITS.insert().values(case_id=case, visit=row.visit, known=known, **folders))
        new: dict[str, Any] = {
            "visit": row.visit,
            "training": training,
            "case": case,
            "round": number,
            "known": known,
            **folders,
            "files": len(digests),
        }
        new["digest"] = digest_of(plain(digests))
        work.record(SYSTEM, "import", row.participant, new=new)


def _case_for(connection: Connection, participant: str, training: bool) -> tuple[int, int]:
    """Return the case for a further time point, and its round: the newest, or a new one if that is assigned or full."""
    mine = (CASES.c.participant == participant, CASES.c.training == training)
    newest = connection.execute(select(CASES).where(*mine).order_by(CASES.c.round.desc())).first()
    if newest is not None:
        given = connection.execute(select(ASSIGNMENTS.c.id).where(ASSIGNMENTS.c.case_id == newest.id)).first()
        visits = connection.execute(select(func.count()).where(VISITS.c.case_id == newest.id)).scalar_one()
        if given is None and visits < len(LABELS):
            return int(newest.id), int(newest.round)
    number = int(newest.round) + 1 if newest is not None else 1
    new = CASES.insert().values(participant=participant, training=training, round=number)
    return int(connection.execute(new.returning(CASES.c.id)).scalar_one()), number


def known_items(text: str) -> Iterator[tuple[int, str, str, int | None]]:
    """Yield slice index, joint, item and value of each known item of a training visit."""
    for place, value in json.loads(text).items():
        slice_index, joint, item = place.split(".")
        yield int(slice_index), joint, item, value
