"""Read the input of a trial command: clinical tables, scores, readings; never the allocation.

Contents: `load_trial`, `TrialSources`, `LoadedTrial`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

from sparcc_pipeline.app.results.collector import collector_paused
from sparcc_pipeline.app.trial_data.read.clinical import VisitKey, read_clinical
from sparcc_pipeline.app.trial_data.read.queries import Queries
from sparcc_pipeline.app.trial_data.scores.imaging import named_by_manifest, read_scores
from sparcc_pipeline.app.trial_data.scores.readings import read_items, read_readings
from sparcc_pipeline.trial.protocol.definition import Protocol
from sparcc_pipeline.trial.reading import MachineScore
from sparcc_pipeline.trial.records import TrialData

if TYPE_CHECKING:
    from sparcc_pipeline.app.trial_data.scores.ledger_scores import LedgerSource


@dataclass(frozen=True)
class TrialSources:
    """The files of a trial.

    Parameters
    ----------
    clinical : tables of participants and visits, CSV or Excel
    manifest : table of the score folder of each participant and visit
    readings : tables of readers' totals
    items : tables of the items of these totals
    ledger : the ledger of the night, another source of score folders
    """

    clinical: Sequence[Path]
    manifest: Path | None = None
    readings: Sequence[Path] = ()
    items: Sequence[Path] = ()
    ledger: LedgerSource | None = None

    @property
    def files(self) -> list[Path]:
        """All tables."""
        return [*self.clinical, *([self.manifest] if self.manifest else []), *self.readings, *self.items]


@dataclass(frozen=True)
class LoadedTrial:
    """Content of the files.

    Parameters
    ----------
    dates : dates of visits, for tables only: the core counts days from the baseline
    inputs : name and SHA-256 of each file read
    """

    data: TrialData
    dates: Mapping[VisitKey, date]
    inputs: tuple[tuple[str, str], ...]


def file_input(file: Path) -> tuple[str, str]:
    """Return the name and SHA-256 of a file."""
    return file.name, hashlib.sha256(file.read_bytes()).hexdigest()


def load_trial(sources: TrialSources, protocol: Protocol) -> LoadedTrial:
    """Read everything; faults become data queries, correct rows count.

    Raises
    ------
    InputError : a file cannot be read at all
    ConfigError, OutputError : the ledger cannot be read
    BlindingError : a column would reveal the arm
    """
    with collector_paused():
        return _load(sources, protocol)


def _load(sources: TrialSources, protocol: Protocol) -> LoadedTrial:
    queries = Queries()
    clinical = read_clinical(sources.clinical, protocol, queries)
    known = [each.participant for each in clinical.participants]
    readings = read_readings(sources.readings, known, protocol, queries)
    items = read_items(sources.items, readings, known, protocol, queries)
    folders = [] if sources.manifest is None else named_by_manifest(sources.manifest, known, protocol, queries)
    without: list[MachineScore] = []
    inputs = [file_input(file) for file in sources.files]
    if sources.ledger is not None:
        from sparcc_pipeline.app.trial_data.scores.ledger_scores import NAME, named_by_ledger

        named = named_by_ledger(sources.ledger, known, protocol, queries)
        folders += named.folders
        without += named.without
        inputs.append((NAME, named.sha256))
    scores, machine_items = read_scores(folders, protocol, queries)
    data = TrialData(
        clinical.participants,
        clinical.visits,
        tuple(readings),
        (*scores, *without),
        (*items, *machine_items),
        tuple(queries),
    )
    return LoadedTrial(data, clinical.dates, tuple(inputs))
