"""Scans without STIR: weak outlines and simulated STIR."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from sparcc_pipeline.anatomy import ILIUM_LABEL, AnatomyLabel, Side
from sparcc_pipeline.errors import InputError
from sparcc_pipeline.training.data.data_list import data_hashes
from sparcc_pipeline.training.data.dataset import bone_samples
from sparcc_pipeline.training.data.labels import IGNORE, PEOPLE, PEOPLE_WITH_LESIONS, SOME_BONE
from sparcc_pipeline.training.data.pelves import PEOPLE_WITH_T1_ONLY, PEOPLE_WITH_WEAK_BONES, load_weakly_outlined
from sparcc_pipeline.training.data.simulated_stir import BoneMap, load_bone_maps, simulate_stir


def drawn_bones() -> BoneMap:
    """Three slices: a sacrum between two ilia, a gap of three pixels at each joint."""
    anatomy = np.zeros((3, 120, 120), dtype=np.uint8)
    anatomy[:, 30:90, 45:75] = AnatomyLabel.SACRUM
    anatomy[:, 30:90, 25:42] = AnatomyLabel.RIGHT_ILIUM
    anatomy[:, 30:90, 78:95] = AnatomyLabel.LEFT_ILIUM
    return BoneMap("drawn", anatomy, 0.6)


def test_simulated_scans_show_the_same_bones_in_other_contrasts() -> None:
    first, again, second = (simulate_stir(drawn_bones(), seed) for seed in (0, 0, 1))

    np.testing.assert_array_equal(first.signal, again.signal)
    np.testing.assert_array_equal(first.anatomy, second.anatomy)
    assert not np.array_equal(first.signal, second.signal)
    assert 3.0 <= first.spacing_mm[0] <= 5.0 and first.spacing_mm[1:] == (0.6, 0.6)


def test_the_joint_of_a_simulated_scan_is_dark_and_belongs_to_the_bones() -> None:
    scans = [simulate_stir(drawn_bones(), seed) for seed in range(12)]

    darker = [scan.signal[:, 40:80, 43].mean() < scan.signal[:, 40:80, 50:70].mean() for scan in scans]
    assert sum(darker) >= 10
    assert (scans[0].anatomy[:, 30:90, 42:45] > 0).all()


def test_label_maps_are_smooth_and_on_their_own_side(shared_data: Path) -> None:
    maps = load_bone_maps(shared_data)

    assert len(maps) == 12
    for bones in maps:
        columns = {code: np.nonzero(bones.anatomy == code)[2].mean() for code in (1, 2, 3)}
        assert columns[ILIUM_LABEL[Side.RIGHT]] < columns[AnatomyLabel.SACRUM] < columns[ILIUM_LABEL[Side.LEFT]]
        assert 0.5 < bones.pixel_mm < 0.7


def test_missing_label_maps_are_reported(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="expected the list of label maps in .*cases.csv"):
        load_bone_maps(tmp_path)


def test_both_scans_of_a_person_are_one_person(shared_data: Path) -> None:
    scans = load_weakly_outlined(shared_data, "2005-3005")

    samples = bone_samples([], {"weak": scans}, [])

    assert samples.person == ("2005-3005", "2005-3005")
    assert samples.kind == ("weak", "weak")


def test_the_border_of_a_weak_outline_is_not_learned(shared_data: Path) -> None:
    scan, _ = load_weakly_outlined(shared_data, "1005-1006")

    assert set(np.unique(scan.anatomy)) == {0, SOME_BONE, IGNORE}
    bone, background = scan.anatomy == SOME_BONE, scan.anatomy == 0
    beside = np.zeros_like(bone)
    beside[:, :, 1:] |= bone[:, :, :-1]
    assert not (beside & background).any(), "between bone and background lies the border"


def test_no_person_has_two_names() -> None:
    weak = [scan for scans in PEOPLE_WITH_WEAK_BONES.values() for scan in scans]
    everybody = [*PEOPLE, *PEOPLE_WITH_T1_ONLY, *weak]

    assert len(set(everybody)) == len(everybody)
    assert PEOPLE_WITH_LESIONS == ("1003", "1007", "1013", "1016", "1234", "3002", "4386")


def test_the_data_list_holds_every_file_that_is_read(shared_data: Path) -> None:
    listed = data_hashes(shared_data)

    files = [f"sij_mri/t1w_more/{scan}_T1W.nii.gz" for pair in PEOPLE_WITH_WEAK_BONES.values() for scan in pair]
    files += [f"sij_mri/lesions/{name}_inflammation_R22.nii.gz" for name in PEOPLE_WITH_LESIONS]
    assert set(files) <= set(listed)
    assert "semicoronal_bones/cases.csv" in listed
