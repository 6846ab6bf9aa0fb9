"""All that a trial command reads: the protocol file, clinical tables, scores, readings. Never the allocation.

There: `load_protocol`, `load_trial`, `TrialSources`, `LoadedTrial`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from sparcc_pipeline.app.config import read_toml
from sparcc_pipeline.app.resources import config_file
from sparcc_pipeline.app.trial.clinical import VisitKey, read_clinical
from sparcc_pipeline.app.trial.imaging import read_readings, read_scores
from sparcc_pipeline.app.trial.rows import Queries
from sparcc_pipeline.trial.protocol import Protocol
from sparcc_pipeline.trial.protocol_mapping import protocol_from
from sparcc_pipeline.trial.records import TrialData

SHIPPED_PROTOCOL = Path("protocols") / "chictr2600118800.toml"


@dataclass(frozen=True)
class TrialSources:
    """The files of a trial.

    Parameters
    ----------
    clinical : tables of participants and visits, CSV or Excel
    manifest : table that says which score folder is of which participant and visit
    readings : tables of readers' totals
    """

    clinical: Sequence[Path]
    manifest: Path | None = None
    readings: Sequence[Path] = ()


@dataclass(frozen=True)
class LoadedTrial:
    """What the files hold. `dates` of visits are for tables only: the core counts days from the baseline."""

    data: TrialData
    dates: Mapping[VisitKey, date]


def load_protocol(file: Path | None = None) -> Protocol:
    """The protocol of a file, or the one that comes with the installation.

    Raises
    ------
    ConfigError : the file is missing or no TOML, a key is unknown or has no allowed value; names file and key
    """
    source = config_file(SHIPPED_PROTOCOL) if file is None else file
    return protocol_from(read_toml(source), source.name)


def load_trial(sources: TrialSources, protocol: Protocol) -> LoadedTrial:
    """Read everything; what is wrong becomes data queries, good rows count.

    Raises
    ------
    InputError : a file cannot be read at all
    BlindingError : a column would tell the arm
    """
    queries = Queries()
    clinical = read_clinical(sources.clinical, protocol, queries)
    known = [each.participant for each in clinical.participants]
    readings = read_readings(sources.readings, known, protocol, queries)
    scores = [] if sources.manifest is None else read_scores(sources.manifest, known, protocol, queries)
    data = TrialData(clinical.participants, clinical.visits, tuple(readings), tuple(scores), tuple(queries))
    return LoadedTrial(data, clinical.dates)
