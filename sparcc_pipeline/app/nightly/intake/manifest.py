"""The manifest of a site: it assigns studies to participants and visits by rule. Nothing is guessed from names.

A table (CSV in UTF-8 or GB 18030, or Excel) or a TOML file with a `[[study]]` for each row. A row has the site's
patient identifier, the accession number, or both, and may limit the day of the study; the columns are `COLUMNS`.
"""

from __future__ import annotations

import re
import tomllib
import unicodedata
from dataclasses import dataclass, field
from datetime import date, datetime
from pathlib import Path
from typing import Any, Final

from sparcc_pipeline.app.results.table_reader import compact, read_table
from sparcc_pipeline.errors import InputError
from sparcc_pipeline.message import Message

COLUMNS: Final = {
    "patient_id": (
        "patient_id",
        "patient",
        "hospital number",
        "病历号",
        "患者编号",
        "患者ID",
        "住院号",
        "门诊号",
        "影像号",
    ),
    "accession": ("accession", "accession_number", "检查号", "检查编号", "申请单号"),
    "study_from": ("study_from", "from", "first day", "检查开始日期", "开始日期", "最早日期"),
    "study_to": ("study_to", "to", "last day", "检查结束日期", "结束日期", "最晚日期"),
    "participant": ("participant", "participant_id", "subject", "受试者编号", "受试者", "入组编号", "随机号"),
    "visit": ("visit", "访视", "访视名称", "访视点"),
}
"""The columns, and the accepted headers of each. Days are inclusive."""

_CODE: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,31}")


@dataclass(frozen=True)
class Row:
    """One rule; empty and None match everything."""

    number: int
    patient_id: str = field(repr=False)
    accession: str = field(repr=False)
    study_from: date | None = field(repr=False)
    study_to: date | None = field(repr=False)
    participant: str
    visit: str

    def knows(self, patient_id: str, accession: str) -> bool:
        """Return True if the row is for this patient or examination, whatever the day."""
        return self.patient_id in ("", _plain(patient_id)) and self.accession in ("", _plain(accession))

    def spans(self, day: date | None) -> bool:
        """Return True if the row includes the day; a study without a day fits only a row without limits."""
        if day is None:
            return self.study_from is None and self.study_to is None
        return (self.study_from or day) <= day <= (self.study_to or day)


@dataclass(frozen=True)
class Assigned:
    """The participant and visit of a study."""

    participant: str
    visit: str


@dataclass(frozen=True)
class Manifest:
    """All rows of a site."""

    rows: tuple[Row, ...] = field(repr=False)

    def assign(self, patient_id: str, accession: str, study_date: str) -> Assigned | Message:
        """Return participant and visit of a study, or the reason why they are unknown, without identity.

        Parameters
        ----------
        study_date : day in the format of DICOM (YYYYMMDD)
        """
        day = _dicom_day(study_date)
        known = [row for row in self.rows if row.knows(patient_id, accession)]
        found = {Assigned(row.participant, row.visit): row.number for row in known if row.spans(day)}
        if len(found) == 1:
            return next(iter(found))
        if len(found) > 1:
            rows = tuple(sorted(found.values()))
            return Message(
                "rows {rows} of the site's manifest all fit this study, with different participants or visits: narrow "
                "them by accession number or by days",
                rows=rows,
            )
        if known:
            return Message(
                "the site's manifest knows the patient (participant {participants}), but no row spans the day of this "
                "study: add or widen a row",
                participants=tuple(sorted({row.participant for row in known})),
            )
        return Message("no row of the site's manifest fits this study: add its patient identifier or accession number")


def read_manifest(file: Path) -> Manifest:
    """Read the manifest of a site.

    Raises
    ------
    InputError : the file is missing or damaged, a column is missing, or a row lacks an identifier, code or valid day
    """
    raw = _toml_rows(file) if file.suffix.lower() == ".toml" else _table_rows(file)
    rows = [_row(number, cells, file.name) for number, cells in raw]
    return Manifest(tuple(rows))


def _toml_rows(file: Path) -> list[tuple[int, dict[str, Any]]]:
    try:
        content = tomllib.loads(file.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError) as error:
        raise InputError(
            f"expected a manifest at {file}, found no readable TOML file; check path and syntax"
        ) from error
    studies = content.get("study")
    if set(content) != {"study"} or not isinstance(studies, list) or not all(isinstance(s, dict) for s in studies):
        raise InputError(f"expected only [[study]] tables in {file.name}, found something else; change it")
    for number, study in enumerate(studies, start=1):
        if unknown := sorted(set(study) - set(COLUMNS)):
            raise InputError(f"expected the keys {', '.join(COLUMNS)} in {file.name}, found {unknown[0]!r} ({number})")
    return list(enumerate(studies, start=1))


def _table_rows(file: Path) -> list[tuple[int, dict[str, Any]]]:
    table = read_table(file)
    names = {compact(alias): column for column, aliases in COLUMNS.items() for alias in aliases}
    headers = {header: names[compact(header)] for header in table.columns if compact(header) in names}
    for needed in ("participant", "visit"):
        if needed not in headers.values():
            raise InputError(
                f"expected a column {needed!r} (or {COLUMNS[needed][-1]}) in {table.file}, found none; add it"
            )
    if len(set(headers.values())) < len(headers):
        raise InputError(f"expected each column once in {table.file}, found one under two names; remove one")
    return [(row.number, {column: row.cells.get(header) for header, column in headers.items()}) for row in table.rows]


def _row(number: int, cells: dict[str, Any], file: str) -> Row:
    """Return a checked row. Errors do not quote its identifiers."""
    patient, accession = _plain(cells.get("patient_id")), _plain(cells.get("accession"))
    participant, visit = (_text(cells.get(column)) for column in ("participant", "visit"))
    if not (patient or accession):
        raise InputError(
            f"expected a patient identifier or an accession number in row {number} of {file}, found neither; add one"
        )
    for column, code in (("participant", participant), ("visit", visit)):
        if not _CODE.fullmatch(code):
            raise InputError(
                f"expected a {column} of letters, digits, - and _ (at most 32) in row {number} of {file}, found "
                f"{'none' if not code else 'another one'}; change it"
            )
    days = [_day(cells.get(column), number, column, file) for column in ("study_from", "study_to")]
    if days[0] and days[1] and days[0] > days[1]:
        raise InputError(f"expected study_from before study_to in row {number} of {file}, found it after; change one")
    return Row(number, patient, accession, days[0], days[1], participant, visit)


def _text(cell: Any) -> str:
    """Return a cell as text; a spreadsheet turns a code of digits into a number."""
    if isinstance(cell, float) and cell.is_integer():
        cell = int(cell)
    return "" if cell is None else str(cell).strip()


def _plain(cell: Any) -> str:
    """Return an identifier without differences of case, width and surrounding space: sites retype them."""
    return " ".join(unicodedata.normalize("NFKC", _text(cell)).casefold().split())


def _day(cell: Any, number: int, column: str, file: str) -> date | None:
    if isinstance(cell, datetime):
        return cell.date()
    if cell is None or isinstance(cell, date):
        return cell
    parts = re.fullmatch(r"(\d{4})[-/.年]?(\d{1,2})[-/.月]?(\d{1,2})日?", _text(cell))
    try:
        return date(*(int(part) for part in parts.groups())) if parts else date.fromisoformat("")
    except ValueError as error:
        raise InputError(
            f"expected a day as YYYY-MM-DD in {column} of row {number} of {file}, found something else; change it"
        ) from error


def _dicom_day(text: str) -> date | None:
    try:
        return datetime.strptime(text.strip().replace(".", "")[:8], "%Y%m%d").date()
    except ValueError:
        return None
