"""Levels: the slices of all time points of a case that show the same anatomy, by registration of the bones.

Contents: `match_levels`, `Levels`, `cases_of`. A time point that the machine scored is the reference; each other one,
scored or not, is registered with it. Only stored pixels and bones are used, with the middle of the joints as origin: no
position of the scanner. Registration chooses the slices that are shown together and moves no pixel.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from sqlalchemy import Row, select, update

from sparcc_pipeline.app.reader.cases.picture_store import STIR_NAME, PictureStore
from sparcc_pipeline.app.reader.database import SYSTEM, ReaderDatabase
from sparcc_pipeline.app.reader.readings.views import ImagesView
from sparcc_pipeline.app.reader.tables import VISITS
from sparcc_pipeline.errors import RegistrationError
from sparcc_pipeline.imaging.alignment.registration import bone_region, register
from sparcc_pipeline.rigid import RigidTransform, index_map, rotation_about
from sparcc_pipeline.sparcc.follow_up.alignment import LARGEST_ROTATION_DEGREES
from sparcc_pipeline.sparcc.slices import SLICES_SCORED
from sparcc_pipeline.volume import FloatArray, Geometry, SeriesRef, Volume

_DIRECTIONS: Final = ((0.0, 1.0, 0.0), (0.0, 0.0, -1.0), (1.0, 0.0, 0.0))
"""Slices to the back, rows downwards, columns to the patient's left."""

PITCHES_DEGREES: Final = (-10.0, 0.0, 10.0)
SHIFTS_MM: Final = (-12.0, -6.0, 0.0, 6.0, 12.0)
"""Starting positions: the middle of a time point without joints is only the middle of its stack."""


def match_levels(database: ReaderDatabase, store: PictureStore, case: int) -> None:
    """Register the time points of a case that have no level yet; one that cannot be aligned keeps none."""
    with database.reading() as connection:
        rows = connection.execute(select(VISITS).where(VISITS.c.case_id == case).order_by(VISITS.c.id)).all()
    reference = next((row for row in rows if row.level is not None), None)
    reference = reference or next((row for row in rows if store.bones(row.machine) is not None), None)
    if reference is None or len(rows) < 2:
        return
    for row in rows:
        if row.level is not None:
            continue
        matrix = np.eye(4) if row.id == reference.id else _registered(store, reference, row)
        if matrix is None:
            continue
        level = json.dumps(np.round(matrix, 6).tolist())
        with database.writing() as work:
            work.connection.execute(update(VISITS).where(VISITS.c.id == row.id).values(level=level))
            work.record(SYSTEM, "match_level", row.images, new={"level": level})


def _registered(store: PictureStore, reference: Row[Any], row: Row[Any]) -> FloatArray | None:
    """Return the (4, 4) matrix from indices of the reference to those of `row`; None if the two cannot be aligned."""
    bones = store.bones(reference.machine)
    if bones is None:
        return None
    fixed, moving = _volume(store, reference.images), _volume(store, row.images)
    starts = [
        RigidTransform.of(rotation_about(0, pitch), np.array([0.0, shift, 0.0]))
        for pitch in PITCHES_DEGREES
        for shift in SHIFTS_MM
    ]
    try:
        found = register(fixed, moving, bone_region(bones, fixed.geometry.spacing_mm), starts)
    except RegistrationError:
        return None
    if found.transform.angle_degrees > LARGEST_ROTATION_DEGREES:
        return None
    return index_map(fixed.geometry, moving.geometry, found.transform)


def _volume(store: PictureStore, images: str) -> Volume:
    """Return the stored STIR, with the middle of its joints as origin."""
    view = store.view(images)
    series = view.series.stir
    shape = (series.slices, series.rows, series.columns)
    slices = [np.frombuffer(gzip.decompress(store.image(images, STIR_NAME, k) or b""), "<u2") for k in range(shape[0])]
    signal = np.stack(slices).reshape(shape).astype(np.float32)
    directions = np.array(_DIRECTIONS)
    x, y, z = (-(np.array(view.centre) * series.spacing_mm) @ directions).tolist()
    geometry = Geometry(shape, (x, y, z), _DIRECTIONS, series.spacing_mm)
    return Volume(signal, geometry, SeriesRef(None, None))


@dataclass(frozen=True)
class Levels:
    """The time points of a case by label, with their views: matrices for the page, and where a reading opens."""

    rows: Mapping[str, Row[Any]]
    views: Mapping[str, ImagesView]

    @property
    def matrices(self) -> dict[str, list[list[float]] | None]:
        """The matrix from the indices of the first label that has a level to those of each label.

        Never from the reference itself: it would show which time point was imported first.
        """
        stored = {label: _matrix(row.level) for label, row in self.rows.items()}
        first = next((matrix for matrix in stored.values() if matrix is not None), None)
        if first is None:
            return dict.fromkeys(stored)
        back = np.linalg.inv(first)
        return {
            label: None if matrix is None else np.round(matrix @ back, 6).tolist() for label, matrix in stored.items()
        }

    @property
    def first_slices(self) -> dict[str, int]:
        """The first of the six slices of each label: as proposed, else at the level of a time point with a proposal."""
        matrices = self.matrices
        proposed = [label for label, view in self.views.items() if view.joints and matrices[label] is not None]
        found = {}
        for label, view in self.views.items():
            found[label] = view.proposed_first
            if not view.joints and proposed and matrices[label] is not None:
                found[label] = _carried(self.views[proposed[0]], matrices[proposed[0]], view, matrices[label])
        return found


def _carried(source: ImagesView, from_common: Any, target: ImagesView, to_target: Any) -> int:
    """Return the slice of `target` at the middle of the six slices proposed for `source`, as the first of its six."""
    middle = [source.proposed_first + (SLICES_SCORED - 1) / 2, *source.centre[1:], 1.0]
    at = float((np.array(to_target) @ np.linalg.inv(np.array(from_common)) @ middle)[0])
    last = target.series.stir.slices - SLICES_SCORED
    return min(max(round(at - (SLICES_SCORED - 1) / 2), 0), max(last, 0))


def _matrix(text: str | None) -> FloatArray | None:
    return None if text is None else np.array(json.loads(text))


def cases_of(database: ReaderDatabase, images: Sequence[str]) -> list[int]:
    """Return the cases of stored time points."""
    with database.reading() as connection:
        query = select(VISITS.c.case_id).where(VISITS.c.images.in_(images)).distinct().order_by(VISITS.c.case_id)
        return list(connection.execute(query).scalars())
