"""The content of a source without scoring it: series, kinds and reasons, oddities, and the series that would be scored.

A site sends this to the coordinator when a study is refused. It holds no name, identifier or date of a patient; base
names of files are in it, as the site chose them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from sparcc_pipeline.app.study.images import Request, is_nifti, only_nifti, require_readable
from sparcc_pipeline.dicom.input.discover import Discovery, SeriesCandidate, discover
from sparcc_pipeline.dicom.input.select import find_stir, find_t1
from sparcc_pipeline.dicom.input.source import open_source
from sparcc_pipeline.dicom.input.stack import order_frames
from sparcc_pipeline.errors import InputError, SparccError, UnscorableError
from sparcc_pipeline.imaging.nifti import read_nifti
from sparcc_pipeline.message import printable, words_of
from sparcc_pipeline.orientation import signed_tilt_degrees

SCHEMA: Final = "sparcc-inspect/1"

SCORED: Final = "would be scored"

LISTED: Final = 12
"""Files that the text lists."""


@dataclass(frozen=True)
class NamedFile:
    """A file by its base name, and the reason why it is listed."""

    name: str
    reason: str


@dataclass(frozen=True, kw_only=True)
class InspectedSeries:
    """One series: its kind, geometry and acquisition as its headers state them, and the use that scoring makes of it.

    `fault` is the sentence with which its stack would be refused; None if it forms one.
    """

    study: int
    series_uid: str
    number: int | None
    kind: str
    reasons: tuple[str, ...]
    use: str
    fault: str | None
    plane: str | None
    tilt_degrees: float | None
    slices: int
    spacing_mm: float
    coverage_mm: float
    pixel_mm: float
    rows: int | None
    columns: int | None
    complete: bool
    acquisition: dict[str, Any]
    warnings: tuple[str, ...]
    left_out: tuple[NamedFile, ...]


@dataclass(frozen=True, kw_only=True)
class Inspection:
    """Everything that was found in a source, and the series that would be scored.

    `taken` is the UID of that series, `refusal` the sentence with which scoring would end; one of them is None.
    `may_be_cut` names the ends of its stack at which slices may be missing.
    """

    schema: str
    files: int
    studies: int
    series: tuple[InspectedSeries, ...]
    taken: str | None
    because: tuple[str, ...]
    t1: str | None
    refusal: str | None
    may_be_cut: tuple[str, ...]
    unreadable: tuple[NamedFile, ...]
    not_images: tuple[str, ...]

    def to_plain(self) -> dict[str, Any]:
        """Return the inspection as JSON holds it."""
        return asdict(self)


def inspect_source(source: Path, request: Request) -> Inspection:
    """Inspect a source as `score.read_study` would read it; only headers are read.

    Raises
    ------
    InputError, OutputError : the source cannot be opened at all
    """
    require_readable(source)
    if is_nifti(source):
        return _nifti(source)
    with open_source(source) as files:
        nifti = only_nifti(files)
        return _nifti(nifti) if nifti is not None else inspect_discovery(discover(files), request)


def inspect_discovery(discovery: Discovery, request: Request) -> Inspection:
    """Inspect the series that were found in a source."""
    taken: SeriesCandidate | None = None
    t1: SeriesCandidate | None = None
    because: tuple[str, ...] = ()
    refusal: str | None = None
    try:
        selection = find_stir(discovery, request.series_uid, request.accept_fat_suppressed)
        taken, because = selection.series, selection.reasons
        t1 = find_t1(discovery, taken)
        refusal = _fault(taken)
    except (InputError, UnscorableError) as error:
        refusal = words_of(error)
    uses = {id(taken): SCORED, id(t1): "T1 beside it"}
    studies = list(dict.fromkeys(series.study_uid for series in discovery.series))
    return Inspection(
        schema=SCHEMA,
        files=discovery.files,
        studies=len(studies),
        series=tuple(
            _series(each, studies.index(each.study_uid) + 1, uses.get(id(each), "not used"))
            for each in discovery.series
        ),
        taken=None if taken is None or refusal is not None else taken.series_uid,
        because=tuple(map(str, because)),
        t1=None if t1 is None else t1.series_uid,
        refusal=None if refusal is None else str(refusal),
        may_be_cut=() if taken is None else tuple(sorted(taken.cut.ends)),
        unreadable=tuple(NamedFile(each.name, str(each.reason)) for each in discovery.unreadable),
        not_images=(*discovery.other_files, *discovery.directories),
    )


def _fault(series: SeriesCandidate) -> str | None:
    """Return the sentence with which a stack is refused by its headers; None if it is not."""
    try:
        order_frames(series)
    except SparccError as error:
        return str(words_of(error))
    return None


def _series(series: SeriesCandidate, study: int, use: str) -> InspectedSeries:
    stack, first = series.stack, series.files[0].frames[0]
    return InspectedSeries(
        study=study,
        series_uid=series.series_uid,
        number=series.series_number,
        kind=series.kind.value,
        reasons=tuple(map(str, series.reasons)),
        use=use,
        fault=_fault(series),
        plane=stack.plane.value if stack.plane else None,
        tilt_degrees=None if stack.normal is None else round(signed_tilt_degrees(stack.normal), 1),
        slices=stack.slices,
        spacing_mm=round(stack.spacing_mm, 3),
        coverage_mm=round(stack.coverage_mm, 1),
        pixel_mm=round(stack.pixel_mm, 4),
        rows=first.rows,
        columns=first.columns,
        complete=stack.complete,
        acquisition=_acquisition(series),
        warnings=tuple(map(str, series.warnings)),
        left_out=tuple(NamedFile(str(each.name), str(each.reason)) for each in series.left_out),
    )


def _acquisition(series: SeriesCandidate) -> dict[str, Any]:
    """Return the elements that decide the kind of a series; free text stays out."""
    file, protocol = series.files[0], series.files[0].frames[0].protocol
    return {
        "manufacturer": file.manufacturer,
        "model": file.model,
        "field_strength_t": file.field_strength_t,
        "modality": protocol.modality,
        "image_type": list(protocol.image_type),
        "scanning_sequence": list(protocol.scanning_sequence),
        "scan_options": list(protocol.scan_options),
        "sequence_name": protocol.sequence_name,
        "repetition_time_ms": protocol.repetition_time_ms,
        "echo_time_ms": protocol.echo_time_ms,
        "inversion_time_ms": protocol.inversion_time_ms,
        "named": sorted(protocol.named),
        "transfer_syntax_uid": file.transfer_syntax_uid,
    }


def _nifti(file: Path) -> Inspection:
    """Inspect a NIfTI file: it has one image and states no acquisition."""
    refusal = None
    try:
        read_nifti(file)
    except (InputError, UnscorableError) as error:
        refusal = str(words_of(error))
    return Inspection(
        schema=SCHEMA,
        files=1,
        studies=1,
        series=(),
        taken=None,
        because=(f"the NIfTI file {printable(file.name)} would be scored",) if refusal is None else (),
        t1=None,
        refusal=refusal,
        may_be_cut=(),
        unreadable=(),
        not_images=(),
    )


def inspection_text(inspection: Inspection) -> str:
    """Return the inspection as text for a terminal."""
    files = "1 file" if inspection.files == 1 else f"{inspection.files} files"
    studies = "1 study" if inspection.studies == 1 else f"{inspection.studies} studies"
    lines = [f"{files}, {studies}, {len(inspection.series)} series", ""]
    if inspection.series:
        lines += [*_table(inspection.series), ""]
    for series in inspection.series:
        lines += _details(series)
    if inspection.unreadable:
        lines += ["Files that cannot be read and may be images:"]
        lines += [*_listed([f"  {each.name}: {each.reason}" for each in inspection.unreadable]), ""]
    if inspection.not_images:
        lines += [f"Files that are no images: {', '.join(_listed(inspection.not_images))}", ""]
    if inspection.refusal is not None:
        lines.append(f"Nothing would be scored: {inspection.refusal}")
    elif inspection.taken is not None:
        lines.append(f"Would be scored: series UID {inspection.taken} ({', '.join(inspection.because)})")
    else:
        lines += list(inspection.because)
    if inspection.refusal is None and inspection.may_be_cut:
        lines.append(f"Refused if the six slices touch the {' or '.join(inspection.may_be_cut)} end of the stack.")
    return "\n".join(lines)


def _listed(lines: Sequence[str]) -> list[str]:
    """Return the first lines and the number of the others; the JSON form has all."""
    more = len(lines) - LISTED
    return [*lines[:LISTED], *([f"  and {more} more"] if more > 0 else [])]


_COLUMNS: Final = ("study", "series", "kind", "plane", "tilt", "slices", "every", "size", "use")


def _table(series: Sequence[InspectedSeries]) -> list[str]:
    """Return a table of the series, one line each."""
    rows = [_COLUMNS, *map(_cells, series)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(_COLUMNS))]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]


def _cells(series: InspectedSeries) -> tuple[str, ...]:
    return (
        str(series.study),
        "-" if series.number is None else str(series.number),
        series.kind,
        series.plane or "-",
        "-" if series.tilt_degrees is None else f"{series.tilt_degrees:.0f}°",
        str(series.slices),
        f"{series.spacing_mm:.2f} mm",
        f"{series.rows} x {series.columns}",
        series.use,
    )


def _details(series: InspectedSeries) -> list[str]:
    """Return why a series is of its kind, and what is odd about it."""
    number = "without a number" if series.number is None else series.number
    lines = [f"Series {number} (study {series.study}, UID {series.series_uid})"]
    lines.append(f"  {series.kind}: {'; '.join(series.reasons)}")
    stated = {name: value for name, value in series.acquisition.items() if value not in (None, "", [])}
    lines.append("  " + ", ".join(f"{name} {_shown(value)}" for name, value in stated.items()))
    if series.use == SCORED:
        lines += _listed([f"  left out: {each.name} ({each.reason})" for each in series.left_out])
    lines += [f"  odd: {warning}" for warning in series.warnings]
    if series.fault is not None and series.kind != "other":
        lines.append(f"  cannot be read: {series.fault}")
    return [*lines, ""]


def _shown(value: object) -> str:
    if isinstance(value, list):
        return "\\".join(map(str, value))
    return f"{value:g}" if isinstance(value, float) else str(value)
