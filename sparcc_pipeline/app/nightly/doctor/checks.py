"""`sparcc doctor --config FILE`: check whether the night can run with its settings. Changes nothing.

Each check prints a line: ok, a warning (it runs, but perhaps not for long or not as intended) or FAILED, with what to
do. A failing check does not block the others.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import typer

from sparcc_pipeline.app.nightly.doctor import intake as doctor_intake
from sparcc_pipeline.app.nightly.doctor import network as doctor_network
from sparcc_pipeline.app.nightly.doctor import places as doctor_places
from sparcc_pipeline.app.nightly.doctor.findings import Finding, Level
from sparcc_pipeline.app.nightly.settings import NightlySettings, load_settings
from sparcc_pipeline.app.report.pdf import require_pdf
from sparcc_pipeline.errors import SparccError

Check = Callable[[NightlySettings], Iterator[Finding]]

CHECKS: Final[tuple[tuple[str, Check], ...]] = (
    ("identity", doctor_places.identity_folder),
    ("work folder", doctor_places.work_folder),
    ("disk", doctor_places.disk),
    ("inboxes", doctor_places.inboxes),
    ("manifests", doctor_places.manifests),
    ("database", doctor_places.database),
    ("clock", doctor_places.clock),
    ("uploads", doctor_intake.uploads),
    ("text", doctor_intake.border_text),
    ("receiver", doctor_network.receiver),
    ("certificate", doctor_network.certificate),
    ("delivery", doctor_network.delivery),
    ("pull", doctor_network.pull),
    ("mail", doctor_network.mail),
    ("webhook", doctor_network.webhook),
)

_WORDS: Final = {Level.OK: "ok", Level.WARNING: "warning", Level.FAILED: "FAILED"}


@dataclass(frozen=True)
class Examined:
    """All findings by the name of their check, and the error of the first failed check."""

    findings: tuple[tuple[str, Finding], ...]
    error: SparccError | None


def run_night_doctor(file: Path) -> None:
    """Print a line for each finding.

    Raises
    ------
    SparccError : the first check that failed, after all lines are printed
    """
    examined = examine(file)
    for name, finding in examined.findings:
        typer.echo(f"{name:12} {_WORDS[finding.level]}: {' '.join(finding.text.split())}")
    if examined.error is not None:
        raise examined.error


def examine(file: Path) -> Examined:
    """Run every check that the settings allow."""
    try:
        settings = load_settings(file)
    except SparccError as error:
        return Examined((("night", Finding(Level.FAILED, str(error))),), error)
    sites = ", ".join(site.code for site in settings.site)
    findings = [("night", Finding(Level.OK, f"{file} is valid; sites {sites}"))]
    first: SparccError | None = None
    for name, check in (*CHECKS, *([("pdf", _pdf)] if settings.run.pdf else [])):
        try:
            findings += [(name, finding) for finding in check(settings)]
        except SparccError as error:
            findings.append((name, Finding(Level.FAILED, str(error))))
            first = first or error
    return Examined(tuple(findings), first or _first_failed(findings))


def _first_failed(findings: list[tuple[str, Finding]]) -> SparccError | None:
    return next((finding.as_error() for _, finding in findings if finding.level is Level.FAILED), None)


def _pdf(_: NightlySettings) -> Iterator[Finding]:
    require_pdf()
    yield Finding(Level.OK, "the libraries for reports as PDF are installed")
