"""Another contrast and another body part are refused, even with the headers of a STIR; phantoms and people are not."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import nibabel
import numpy as np
import pytest

from sparcc_pipeline.anatomy import AnatomyLabel
from sparcc_pipeline.app.study.resources import model_bundle
from sparcc_pipeline.errors import JointNotVisibleError, NotSacroiliacError, NotStirError, UnscorableError
from sparcc_pipeline.imaging.bone_pieces import FIELD_MM, field_about, fields_within, without_noise
from sparcc_pipeline.imaging.nifti import read_nifti
from sparcc_pipeline.imaging.plausibility import (
    BoneEvidence,
    bone_evidence,
    fluid_contrast,
    require_sacroiliac,
    require_stir_contrast,
)
from sparcc_pipeline.imaging.segmentation import ModelSegmenter, load_segmenter
from sparcc_pipeline.training.data.phantom import make_phantom
from sparcc_pipeline.training.data.phantom_spec import random_spec
from sparcc_pipeline.volume import Float32Array, FloatArray, Geometry, SeriesRef, Volume

SPACING = (4.0, 1.0, 1.0)


def geometry(shape: tuple[int, int, int], spacing: tuple[float, float, float] = SPACING) -> Geometry:
    return Geometry(shape, (0.0, 0.0, 0.0), ((0.0, 1.0, 0.0), (0.0, 0.0, -1.0), (1.0, 0.0, 0.0)), spacing)


def volume(signal: FloatArray | Float32Array, spacing: tuple[float, float, float] = SPACING) -> Volume:
    shape = (signal.shape[0], signal.shape[1], signal.shape[2])
    return Volume(signal.astype(np.float32), geometry(shape, spacing), SeriesRef(None, None))


@pytest.fixture(scope="module")
def segmenter() -> ModelSegmenter:
    return load_segmenter(model_bundle(), threads=1)


def stir(shared_data: Path, name: str) -> Volume:
    return read_nifti(shared_data / "sij_mri" / "stir" / f"{name}_STIR.nii.gz")


def head() -> FloatArray:
    """The small T1 of a head from the tests of nibabel, in the project's axes."""
    stored_as = nibabel.load(Path(nibabel.__file__).parent / "tests/data/anatomical.nii")
    image = nibabel.as_closest_canonical(stored_as)  # type: ignore[no-untyped-call]
    stored = np.asarray(image.dataobj, dtype=float)
    return np.ascontiguousarray(stored.transpose(1, 2, 0)[::-1, ::-1, ::-1])


NOISE = np.abs(np.random.default_rng(0).normal(0, 100, (6, 60, 60)))


def fluid_among(marrow: float, fat: float) -> Volume:
    """Muscle, a third of fat, and a little fluid."""
    signal = np.full((6, 60, 60), marrow)
    signal[:, 40:] = fat
    signal[:, :4, :6] = 900.0
    return volume(signal)


def test_fluid_stands_out_only_where_fat_is_suppressed() -> None:
    assert fluid_contrast(fluid_among(200, 180).signal) == pytest.approx(900 / 200)
    require_stir_contrast(fluid_among(200, 180))
    with pytest.raises(NotStirError, match=r"found 1\.3 times: fat is not suppressed"):
        require_stir_contrast(fluid_among(200, 700))


@pytest.mark.parametrize("signal", [np.full((6, 60, 60), 200.0), np.zeros((6, 60, 60)), NOISE, head()])
def test_a_constant_an_empty_image_noise_and_a_head_are_no_stir(signal: FloatArray) -> None:
    with pytest.raises(NotStirError):
        require_stir_contrast(volume(signal))


@pytest.mark.parametrize(
    ("evidence", "words"),
    [
        (BoneEvidence(0.7, (65.0, 65.0), 0.8), "certainty of 0.70"),
        (BoneEvidence(0.9, (-65.0, 65.0), 0.8), "right ilium -65 mm"),
        (BoneEvidence(0.9, (65.0, 150.0), 0.8), "left ilium 150 mm"),
        (BoneEvidence(0.9, (65.0, 65.0), 0.4), "overlap by 0.40"),
    ],
)
def test_each_figure_can_refuse_and_is_reported(evidence: BoneEvidence, words: str) -> None:
    with pytest.raises(NotSacroiliacError, match=words):
        require_sacroiliac(evidence)


def test_bones_of_people_and_a_missing_one_are_not_refused() -> None:
    anatomy = np.zeros((6, 60, 200), dtype=np.uint8)
    anatomy[:, 10:50, 60:140] = AnatomyLabel.SACRUM
    anatomy[:, 10:50, 20:50] = AnatomyLabel.RIGHT_ILIUM
    both = anatomy.copy()
    both[:, 10:50, 150:180] = AnatomyLabel.LEFT_ILIUM

    found = bone_evidence(0.9, both, geometry((6, 60, 200)))
    one = bone_evidence(0.9, anatomy, geometry((6, 60, 200)))

    assert found.sideways_mm == (65.0, 65.0)
    assert found.overlap == 1.0
    assert one.sideways_mm == (65.0, None)
    assert one.overlap is None
    require_sacroiliac(found)
    require_sacroiliac(one)


def test_the_ilium_is_the_piece_beside_the_sacrum_even_if_another_is_larger() -> None:
    anatomy = np.zeros((4, 200, 300), dtype=np.uint8)
    anatomy[:, 20:80, 100:160] = AnatomyLabel.SACRUM
    anatomy[:, 20:60, 170:190] = AnatomyLabel.LEFT_ILIUM
    anatomy[:, 140:190, 230:290] = AnatomyLabel.LEFT_ILIUM  # a femur
    anatomy[:, 62:82, 170:190] = AnatomyLabel.LEFT_ILIUM  # a piece of the ilium, cut off

    clean = without_noise(anatomy, SPACING)

    assert (clean[:, :100] == anatomy[:, :100]).all()
    assert not clean[:, 140:].any()


def test_the_sacrum_is_the_piece_that_faces_the_ilia_even_if_another_is_larger() -> None:
    anatomy = np.zeros((9, 200, 300), dtype=np.uint8)
    anatomy[:4, 20:80, 100:160] = AnatomyLabel.SACRUM
    anatomy[:4, 82:90, 100:160] = AnatomyLabel.SACRUM  # a piece of it, cut off
    anatomy[:4, 20:60, 163:190] = AnatomyLabel.LEFT_ILIUM
    anatomy[:4, 20:60, 70:97] = AnatomyLabel.RIGHT_ILIUM
    sacrum = anatomy.copy()
    anatomy[5:, :, 60:200] = AnatomyLabel.SACRUM  # soft tissue behind the joints

    assert (without_noise(anatomy, SPACING) == sacrum).all()


def test_only_a_large_field_of_view_is_cut_around_the_sacrum() -> None:
    sacrum = np.zeros((4, 300, 320), dtype=bool)
    sacrum[:, 60:100, 140:180] = True

    assert field_about(sacrum, geometry((4, 300, 320))) == (slice(0, 184), slice(54, 264))
    assert field_about(sacrum[:, :230, :230], geometry((4, 230, 230))) is None
    assert field_about(sacrum & False, geometry((4, 300, 320))) is None


def test_the_parts_of_a_large_field_of_view_cover_it() -> None:
    parts = fields_within(geometry((4, 300, 450)))
    seen = np.zeros((300, 450), dtype=int)
    for rows, columns in parts:
        seen[rows, columns] += 1

    assert seen.min() >= 1
    assert {(rows.stop - rows.start, columns.stop - columns.start) for rows, columns in parts} == {(FIELD_MM, FIELD_MM)}
    assert fields_within(geometry((4, 230, 230))) == []


def test_phantoms_are_scored(segmenter: ModelSegmenter) -> None:
    tissue, _ = segmenter.segment(make_phantom(random_spec(1)).volume)

    assert tissue.bones_certainty is not None
    assert tissue.bones_certainty > 0.9


def upside_down(scan: Volume) -> Volume:
    return volume(scan.signal[:, ::-1], scan.geometry.spacing_mm)


def lying(scan: Volume) -> Volume:
    return volume(np.rot90(scan.signal, axes=(1, 2)), scan.geometry.spacing_mm)


def lumbar_spine(scan: Volume) -> Volume:
    return volume(scan.signal[:, :110], scan.geometry.spacing_mm)


@pytest.mark.parametrize("change", [upside_down, lying, lumbar_spine])
def test_images_without_sacroiliac_joints_are_refused(
    shared_data: Path, segmenter: ModelSegmenter, change: Callable[[Volume], Volume]
) -> None:
    with pytest.raises(NotSacroiliacError, match="expected the sacroiliac joints"):
        segmenter.segment(change(stir(shared_data, "2015")))


def test_the_error_on_one_side_alone_names_the_missing_joint(shared_data: Path, segmenter: ModelSegmenter) -> None:
    scan = stir(shared_data, "1007")

    with pytest.raises(JointNotVisibleError, match="left") as caught:
        segmenter.segment(volume(scan.signal[:, :, :168], scan.geometry.spacing_mm))
    assert isinstance(caught.value, UnscorableError)


@pytest.mark.parametrize(
    "file",
    ["sij_mri/t1w/{name}_T1W.nii.gz", "sij_mri/t1w_only/3009_T1W.nii.gz", "pelvic_t1/case07_T1.nii.gz"],
)
@pytest.mark.parametrize("name", ["1007", "1234", "2014"])
def test_t1_given_as_stir_is_refused_and_stir_is_not(shared_data: Path, file: str, name: str) -> None:
    require_stir_contrast(stir(shared_data, name))
    with pytest.raises(NotStirError):
        require_stir_contrast(read_nifti(shared_data / file.format(name=name)))
