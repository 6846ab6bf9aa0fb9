"""Cerebrospinal fluid and disc are found at their places, and are not taken for vessels."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from sparcc_pipeline.anatomy import AnatomyLabel, Quadrant, Side
from sparcc_pipeline.imaging.fluid import FLUID_OVER_MARROW, find_csf, find_disc
from sparcc_pipeline.imaging.vessels import find_presacral_vessels
from sparcc_pipeline.sparcc.joint import find_joints
from sparcc_pipeline.sparcc.score import SparccScore, score_sparcc
from sparcc_pipeline.sparcc.slices import choose_six_slices
from sparcc_pipeline.training.data.phantom import Phantom, make_phantom
from sparcc_pipeline.training.data.phantom_spec import SIGNAL, Lesion, PhantomSpec, known_score
from sparcc_pipeline.volume import BoolArray, TissueMaps

MARROW = SIGNAL["marrow"]
CSF = 900.0
LESIONS = (
    Lesion(6, Side.RIGHT, Quadrant.UPPER_SACRAL, depth_mm=8.0, length_mm=12.0, signal=2.2),
    Lesion(8, Side.LEFT, Quadrant.UPPER_ILIAC, depth_mm=8.0, length_mm=12.0, signal=1.3),
)
"""Brighter than fluid, and between vessels and fluid (signals are multiples of the vessels')."""


@cache
def phantom(*, vessels: bool = True, csf: float = CSF, disc: float = SIGNAL["disc"]) -> Phantom:
    return make_phantom(
        PhantomSpec(vessels=vessels, csf=csf, signal={**SIGNAL, "disc": disc}, lesions=LESIONS, bias=0.03)
    )


def found_in(made: Phantom) -> TissueMaps:
    """The phantom's own bones and edema, with the reference tissue that the rules find."""
    volume, tissue = made.volume, made.tissue
    place = (volume.signal, tissue.anatomy, volume.geometry, MARROW)
    return replace(
        tissue,
        vessel=find_presacral_vessels(*place, tissue.ligamentous),
        csf=find_csf(*place),
        disc=find_disc(*place, tissue.ligamentous),
    )


def score(made: Phantom) -> SparccScore:
    tissue = found_in(made)
    joints = find_joints(tissue.anatomy, tissue.geometry)
    return score_sparcc(made.volume, tissue, joints, choose_six_slices(joints, tissue.ligamentous))


def inside(found: BoolArray | None, drawn: BoolArray | None) -> float:
    assert found is not None and drawn is not None and found.any()
    return float((found & drawn).sum() / found.sum())


def test_fluid_is_found_in_the_canal_and_vessels_in_front() -> None:
    made = phantom()
    tissue = found_in(made)

    assert inside(tissue.csf, made.tissue.csf) > 0.98
    assert inside(tissue.vessel, made.tissue.vessel) > 0.98
    assert tissue.csf is not None and made.tissue.csf is not None
    assert tissue.csf.sum() > 0.3 * made.tissue.csf.sum()


@pytest.mark.parametrize("spacing", [3.3, 5.0])
@pytest.mark.parametrize("pixel", [0.5, 1.0])
def test_fluid_is_found_at_any_spacing(spacing: float, pixel: float) -> None:
    pixels = round(220 / pixel)
    made = make_phantom(PhantomSpec(shape=(16, pixels, pixels), spacing_mm=(spacing, pixel, pixel), csf=CSF))
    tissue = found_in(made)

    assert inside(tissue.csf, made.tissue.csf) > 0.95
    assert inside(tissue.vessel, made.tissue.vessel) > 0.95


@pytest.mark.parametrize("csf", [0.0, 0.9 * FLUID_OVER_MARROW * MARROW])
def test_without_bright_fluid_none_is_found(csf: float) -> None:
    """The bladder is as bright, wide and in the midline, but in front of the canal."""
    tissue = found_in(phantom(csf=csf))

    assert tissue.csf is not None and not tissue.csf.any()


def test_fluid_is_never_a_vessel_nor_a_vessel_fluid() -> None:
    tissue, without = found_in(phantom()), found_in(phantom(vessels=False))

    assert tissue.csf is not None and not (tissue.csf & tissue.vessel).any()
    assert not without.vessel.any()
    bare = found_in(phantom(csf=0.0))
    assert bare.csf is not None and not bare.csf.any() and bare.vessel.any()


def test_a_bright_disc_is_found_and_a_dark_one_is_none() -> None:
    bright, dark = found_in(phantom(disc=5 * MARROW)), found_in(phantom())
    lumbar = phantom().tissue.anatomy == AnatomyLabel.LUMBAR_VERTEBRA

    assert dark.disc is not None and not dark.disc.any()
    assert bright.disc is not None and bright.disc.any()
    for k in np.flatnonzero(bright.disc.any(axis=(1, 2))):
        rows, columns = np.nonzero(bright.disc[k])
        under = rows - np.flatnonzero(lumbar[k].any(axis=1))[-1]
        assert under.min() > 0 and under.max() <= 10
        assert abs(columns.mean() - lumbar.shape[2] / 2) < 3
    assert not (bright.disc & bright.vessel).any()


@pytest.mark.parametrize(("vessels", "csf", "kind"), [(True, CSF, "presacral_vessels"), (False, CSF, "csf")])
def test_vessels_serve_first_then_fluid(vessels: bool, csf: float, kind: str) -> None:
    made = phantom(vessels=vessels, csf=csf)
    known, found = known_score(made.spec), score(made)

    assert found.reference_signal is not None and found.reference_signal.kind == kind
    assert found.reference_signal.value == pytest.approx(made.spec.reference, rel=0.12)
    assert found.total == known.total
    assert found.intensity == sum(point or 0 for point in known.intense.values()) == (2 if vessels else 1)
    warnings = [warning for warning in found.warnings if "no presacral vessel" in warning]
    assert (warnings == []) == vessels
    assert vessels or "cerebrospinal fluid" in warnings[0]


def test_a_bright_disc_serves_where_there_is_neither() -> None:
    found = score(phantom(vessels=False, csf=0.0, disc=5 * MARROW))

    assert found.reference_signal is not None and found.reference_signal.kind == "disc"


def test_with_none_intensity_is_not_evaluable_and_the_maximum_shows_it() -> None:
    made = phantom(vessels=False, csf=0.0)
    known, found = known_score(made.spec), score(made)
    with_edema = [joint for joint in found.joints if any(joint.edema.values())]

    assert found.reference_signal is None
    assert len(with_edema) == 2 and all(joint.intense is None for joint in with_edema)
    assert {(joint.slice, joint.side): joint.intense for joint in found.joints} == known.intense
    assert found.evaluable_maximum == score(phantom()).evaluable_maximum - len(with_edema)
    assert found.intensity == 0 and any("not evaluable" in warning for warning in found.warnings)
