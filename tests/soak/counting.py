"""The results of a soak, counted from the outside: by pixels, files and rows, not by the program's own reports."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from statistics import median

import pydicom

from sparcc_pipeline.app.ledger.database import connect
from sparcc_pipeline.app.ledger.ledger import Ledger, StudyVersion
from sparcc_pipeline.app.ledger.states import State
from sparcc_pipeline.app.nightly.process import now
from sparcc_pipeline.app.nightly.settings import NightlySettings
from tests.soak.studies import SoakStudy, pixel_hash


@dataclass
class Count:
    """Figures by their name, and the wrong ones."""

    figures: list[tuple[str, str]] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)

    def add(self, name: str, value: object) -> None:
        self.figures.append((name, str(value)))

    def require(self, name: str, found: int, expected: int) -> None:
        """Add a figure that must equal the expected one."""
        self.add(name, f"{found} of {expected}" if expected else found)
        if found != expected:
            self.wrong.append(f"{name}: {found}, expected {expected}")


def open_ledger(settings: NightlySettings) -> Ledger:
    """Return the ledger as it is; it waits for a database that is down."""
    return Ledger(connect(settings.database_url), now, 60.0)


def delivered(ledger: Ledger, studies: list[SoakStudy], out: Path) -> set[int]:
    """Return the numbers of the studies whose newest version is delivered and holds all sent images."""
    current = _current(ledger)
    return {
        s.number
        for s in studies
        if (version := current.get((s.site, s.participant, s.visit))) is not None
        and version.state is State.DELIVERED
        and version.study_folder is not None
        and len(list((out / "work" / version.study_folder).rglob("*.dcm"))) == len(s.pixels)
    }


def count(out: Path, settings: NightlySettings, studies: list[SoakStudy]) -> Count:
    """Count everything that must be right."""
    ledger, found = open_ledger(settings), Count()
    work = settings.paths.work_folder
    current, versions = _current(ledger), ledger.versions()
    wanted = {pixel: study for study in studies for pixel in study.pixels}
    kept: Counter[str] = Counter()
    for version in current.values():
        kept.update(pixel_hash(file) for file in (work / (version.study_folder or "-")).rglob("*.dcm"))
    found.require("SOP instances kept", len(wanted.keys() & kept.keys()), len(wanted))
    found.require(
        "instances that are none of these, or twice", sum(kept.values()) - len(wanted.keys() & kept.keys()), 0
    )
    done = [v for v in current.values() if v.state is State.DELIVERED]
    found.require("studies delivered", len(done), len(studies))
    scored = Counter(e.version_id for e in ledger.history(event="moved") if e.to_state == State.SCORED)
    found.require("studies scored exactly once", sum(scored[v.id] == 1 for v in current.values()), len(studies))
    found.add(
        "versions, superseded among them", f"{len(versions)}, {sum(v.superseded_by is not None for v in versions)}"
    )
    _count_files(found, work, versions)
    _count_pacs(found, out, done, work)
    _search_identity(found, out, studies)
    _count_times(found, list(current.values()))
    return found


def _current(ledger: Ledger) -> dict[tuple[str, str | None, str | None], StudyVersion]:
    return {(v.site, v.participant, v.visit): v for v in ledger.versions(current=True)}


def _count_files(found: Count, work: Path, versions: list[StudyVersion]) -> None:
    """Count half-made results, and results without a study."""
    left = [path for path in work.rglob("*") if ".partial" in path.name or path.name.startswith(".sparcc-")]
    found.require("half-made files or folders left", len(left), 0)
    known = {v.result_folder for v in versions}
    results = {str(path.parent.relative_to(work)) for path in (work / "results").rglob("score.json")}
    found.require("results of no study", len(results - known), 0)


def _count_pacs(found: Count, out: Path, done: list[StudyVersion], work: Path) -> None:
    sent = {
        str(pydicom.dcmread(file, stop_before_pixels=True).SOPInstanceUID)
        for version in done
        for file in (work / (version.result_folder or "-")).rglob("*.dcm")
    }
    stored = [file for file in (out / "pacs").iterdir() if file.is_file()]
    there = {str(pydicom.dcmread(file, stop_before_pixels=True).SOPInstanceUID) for file in stored}
    found.require("result objects in the PACS", len(sent & there), len(sent))
    folders = sum(
        (out / "delivered" / Path(v.result_folder or "-").relative_to("results") / "score.json").is_file() for v in done
    )
    found.require("results in the folder of deliveries", folders, len(done))


def _search_identity(found: Count, out: Path, studies: list[SoakStudy]) -> None:
    """Count files outside the identity folder with a name, identifier, accession number or birth date."""
    words = {word.encode() for s in studies for word in (s.name.partition("^")[0], s.patient_id, s.accession)}
    words |= {b"SOAKNAME", b"SOAKID", b"SOAKACC", b"19870605"}
    files = [f for part in ("work", "delivered", "pacs") for f in (out / part).rglob("*") if f.is_file()]
    hits = sum(any(word in content for word in words) for content in (f.read_bytes() for f in files))
    found.require(f"files with identity, of {len(files)} searched", hits, 0)


def _count_times(found: Count, current: list[StudyVersion]) -> None:
    spans = [(v.scored_at - v.received_at).total_seconds() for v in current if v.scored_at is not None]
    if spans:
        found.add(
            "from receipt to score, median and worst",
            f"{timedelta(seconds=round(median(spans)))}, {timedelta(seconds=round(max(spans)))}",
        )
    seconds = [float(v.facts["seconds"]) for v in current if v.facts.get("seconds") is not None]
    if seconds:
        found.add("seconds of scoring a study, median", f"{median(seconds):.1f}")


def as_json(found: Count) -> str:
    """Return the figures as JSON."""
    return json.dumps({"figures": dict(found.figures), "wrong": found.wrong}, indent=2) + "\n"
