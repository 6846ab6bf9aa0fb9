"""Patches of edema: quadrants, readings and the other side belong together."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from sparcc_pipeline.anatomy import Quadrant
from sparcc_pipeline.imaging.model.normalize import EDEMA_PIXEL_MM
from sparcc_pipeline.training.data.dataset import joints_of
from sparcc_pipeline.training.data.edema_samples import NO_OTHER_SIDE, edema_samples
from sparcc_pipeline.training.data.labels import load_person
from sparcc_pipeline.training.data.phantom import make_phantom
from sparcc_pipeline.training.data.phantom_spec import random_spec
from sparcc_pipeline.training.measure.agreement import reader_points


def test_the_other_side_of_the_other_side_is_this_side() -> None:
    samples = edema_samples([], [make_phantom(random_spec(3, pixel_mm=0.95))])

    known = samples.other != NO_OTHER_SIDE
    assert known.any()
    there_and_back = samples.other[samples.other[known]]
    assert there_and_back.tolist() == np.flatnonzero(known).tolist()
    assert (samples.other[known] != np.flatnonzero(known)).all()


def test_quadrants_and_readings_of_a_patch_give_the_points_of_the_readers(shared_data: Path) -> None:
    person = load_person(shared_data, "3002")
    samples = edema_samples([person], [])
    keys = [(joint.slice_index, joint.side) for joint in joints_of(person)]

    differing = compared = 0
    for reading, points in enumerate(reader_points(person)):
        for (k, side, quadrant), point in points.items():
            n = keys.index((k, side))
            inside = samples.quadrant[n] == 1 + list(Quadrant).index(quadrant)
            area = (samples.readings[n, reading] > 0.5)[inside].sum() * EDEMA_PIXEL_MM**2
            compared += 1
            differing += int((area >= 8.0) != bool(point))

    assert compared > 150
    assert differing <= 0.02 * compared, "a patch has other pixels than the scan: areas at the limit may differ"
