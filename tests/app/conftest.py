"""A small study whose score is known by construction, and a segmenter that knows its tissue."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from sparcc_pipeline.anatomy import AnatomyLabel
from sparcc_pipeline.app.ledger.database import open_database
from sparcc_pipeline.app.study.config import load_config
from sparcc_pipeline.app.study.images import Request
from sparcc_pipeline.app.study.provenance import Run
from sparcc_pipeline.app.study.score import Scored, score_study
from sparcc_pipeline.dicom.write import write_mr_series
from sparcc_pipeline.sparcc.joint import Joints, find_joints
from sparcc_pipeline.sparcc.uncertainty import Calibration
from sparcc_pipeline.volume import Geometry, SeriesRef, TissueMaps, Volume

from .databases import Cluster, missing, postgres_cluster

SHAPE = (14, 110, 150)
SPACING_MM = (4.0, 1.2, 1.2)
TILT = math.radians(30)
MARROW, VESSEL, EDEMA = 200.0, 900.0, 500.0
FIRST_OF_SIX, TRANSITIONAL = 4, 9


@dataclass(frozen=True)
class KnownSegmenter:
    """Gives the tissue maps that belong to the study, whatever the files look like."""

    tissue: TissueMaps
    calibration: Calibration | None = None

    def calibration_of(self, tissue: TissueMaps) -> Calibration | None:
        return self.calibration

    @property
    def provenance(self) -> Mapping[str, str]:
        return {"name": "known", "version": "1.0", "sha256": "ab" * 32, "engine": "onnx"}

    def segment(self, volume: Volume, t1: Volume | None = None) -> tuple[TissueMaps, Joints]:
        tissue = replace(self.tissue, geometry=volume.geometry)
        return tissue, find_joints(tissue.anatomy, tissue.geometry)


def make_stir() -> Volume:
    """The signal that belongs to `make_tissue`: marrow, vessels, and two lesions (one bright)."""
    tissue = make_tissue()
    signal = np.random.default_rng(1).normal(60, 5, SHAPE).clip(0)
    signal[tissue.anatomy > 0] = MARROW
    signal[tissue.edema] = EDEMA
    signal[7][tissue.edema[7]] = VESSEL + 300
    signal[tissue.vessel] = VESSEL
    return Volume(signal.astype(np.float32), tissue.geometry, SeriesRef(None, None))


def make_tissue() -> TissueMaps:
    """Two straight joints 78 mm high on slices 2-11; total 4: two quadrants, one intense, one deep.

    Slice 5: right upper iliac, 13 mm deep, dim. Slice 7: left lower sacral, 6 mm deep, brighter than the vessels.
    """
    anatomy = np.zeros(SHAPE, dtype=np.uint8)
    anatomy[2:12, 22:87, 50:100] = AnatomyLabel.SACRUM
    anatomy[2:12, 22:87, 30:48] = AnatomyLabel.RIGHT_ILIUM
    anatomy[2:12, 22:87, 102:120] = AnatomyLabel.LEFT_ILIUM
    edema = np.zeros(SHAPE, dtype=np.float32)
    edema[5, 32:42, 38:48] = 0.9
    edema[7, 65:73, 95:100] = 0.9
    vessel = np.zeros(SHAPE, dtype=bool)
    vessel[3:9, 14:18, 70:76] = True
    return TissueMaps(
        geometry=Geometry(
            shape=SHAPE,
            origin_mm=(-90.0, -40.0, 60.0),
            directions=((0.0, math.cos(TILT), math.sin(TILT)), (0.0, math.sin(TILT), -math.cos(TILT)), (1.0, 0.0, 0.0)),
            spacing_mm=SPACING_MM,
        ),
        anatomy=anatomy,
        edema_probability=edema,
        edema_threshold=0.5,
        vessel=vessel,
        ligamentous=(np.arange(SHAPE[0]) >= TRANSITIONAL).astype(np.float32),
    )


@pytest.fixture
def segmenter() -> KnownSegmenter:
    return KnownSegmenter(make_tissue())


@pytest.fixture
def study(tmp_path: Path) -> Path:
    """The study as DICOM."""
    folder = tmp_path / "study"
    write_mr_series(make_stir(), folder, style="siemens", patient_id="P0042", seed="app tests")
    return folder


@pytest.fixture
def run_at() -> Callable[[Request], Run]:
    return lambda request: Run(load_config(), request, datetime(2026, 3, 1, 10, 0, tzinfo=UTC))


@pytest.fixture
def scored(study: Path, segmenter: KnownSegmenter) -> Scored:
    outcome = score_study(study, Request(), lambda: segmenter, lambda _: None)
    assert isinstance(outcome, Scored)
    return outcome


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    """A PostgreSQL cluster of our own, one for each process of pytest."""
    if (reason := missing()) is not None:
        pytest.skip(reason)
    with postgres_cluster() as running:
        yield running


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The URL of an empty database, of both kinds in turn."""
    yield from _database(request, tmp_path, None)


@pytest.fixture(scope="session")
def ledger_template(cluster: Cluster) -> str:
    """The name of a database that holds an empty ledger."""
    engine = open_database(cluster.url())
    engine.dispose()
    assert engine.url.database is not None
    return engine.url.database


@pytest.fixture(params=["sqlite", "postgresql"])
def ledger_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The URL of an empty ledger, on both kinds of database in turn."""
    yield from _database(request, tmp_path, "ledger_template")


def _database(request: pytest.FixtureRequest, tmp_path: Path, template: str | None) -> Iterator[str]:
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'ledger.sqlite'}"
        return
    running: Cluster = request.getfixturevalue("cluster")
    url = running.url(*([] if template is None else [request.getfixturevalue(template)]))
    yield url
    running.drop(url)
