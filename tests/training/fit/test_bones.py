"""The labels of the bone network: classes where known, bone without a name, nothing where ignored."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from sparcc_pipeline.anatomy import AnatomyLabel
from sparcc_pipeline.imaging.model.networks import BONE_CLASSES
from sparcc_pipeline.training.data.dataset import BoneSamples, bone_samples
from sparcc_pipeline.training.data.labels import IGNORE, SOME_BONE
from sparcc_pipeline.training.data.pelves import Pelvis
from sparcc_pipeline.training.fit.bones import CONTRAST_BEND, SHAPE_KINDS, SHARES, BoneBatches, BonePlan, bone_loss

SIZE = 8
UNKNOWN_PLACE = torch.tensor([torch.nan])
AWAY = torch.full((1, SIZE, SIZE), 60.0)


def sure_of(label: int) -> torch.Tensor:
    """(1, classes + 1, size, size) output of a network that calls every pixel `label`."""
    output = torch.zeros((1, BONE_CLASSES + 1, SIZE, SIZE))
    output[:, label] = 20.0
    return output


def loss(called: int, label: int) -> float:
    labels = torch.full((1, SIZE, SIZE), label)
    return float(bone_loss(sure_of(called), labels, UNKNOWN_PLACE, AWAY, 0.3))


@pytest.mark.parametrize("bone", [label for label in AnatomyLabel if label is not AnatomyLabel.BACKGROUND])
def test_any_bone_is_right_where_bone_has_no_name(bone: AnatomyLabel) -> None:
    assert loss(bone, SOME_BONE) == pytest.approx(loss(bone, IGNORE), abs=1e-5), "as good as not being asked"


def test_background_is_wrong_where_some_bone_is() -> None:
    assert loss(AnatomyLabel.BACKGROUND, SOME_BONE) > loss(AnatomyLabel.SACRUM, SOME_BONE) + 10


def test_another_bone_is_wrong_where_the_bone_is_known() -> None:
    assert (
        loss(AnatomyLabel.RIGHT_ILIUM, int(AnatomyLabel.SACRUM))
        > loss(AnatomyLabel.SACRUM, int(AnatomyLabel.SACRUM)) + 10
    )


def test_ignored_pixels_teach_nothing() -> None:
    assert loss(AnatomyLabel.BACKGROUND, IGNORE) == pytest.approx(loss(AnatomyLabel.SACRUM, IGNORE))


def scans() -> BoneSamples:
    """Return one flat stack of each of three kinds."""
    anatomy = np.zeros((4, 200, 200), dtype=np.uint8)
    anatomy[:, 60:140, 90:110], anatomy[:, 60:140, 70:90] = AnatomyLabel.SACRUM, AnatomyLabel.RIGHT_ILIUM
    flat = np.ones((4, 200, 200), dtype=np.float32)
    kinds = {
        "weak": Pelvis("5-6", flat, np.where(anatomy > 0, np.uint8(SOME_BONE), np.uint8(0)), (3.3, 0.8, 0.8)),
        "simulated": Pelvis("map", flat, anatomy, (4.0, 0.8, 0.8)),
        "pelvic": Pelvis("pelvis", flat, anatomy, (5.0, 0.8, 0.8)),
    }
    return bone_samples([], {kind: [scan] for kind, scan in kinds.items()}, [])


def test_a_batch_holds_images_labels_places_and_distances() -> None:
    plan = BonePlan(batch=3, patch=64, canvas=208)

    image, label, behind_cm, distance = BoneBatches(scans(), [0, 1, 2], plan, 0).next()

    assert image.shape == (3, 3, 64, 64)
    assert label.shape == distance.shape == (3, 64, 64)
    assert torch.isnan(behind_cm).all(), "no such scan has a known transitional slice"


def test_a_weak_outline_never_names_a_bone() -> None:
    samples = scans()

    _, label, *_ = BoneBatches(samples, [samples.kind.index("weak")], BonePlan(batch=4, patch=64, canvas=208), 0).next()

    assert set(label.unique().tolist()) <= {0, SOME_BONE}


def test_the_network_of_all_folds_learns_from_no_person_who_is_left_out() -> None:
    assert not {"stir", "t1", "outlined", "weak"} & set(SHAPE_KINDS)
    assert sum(SHARES.values()) == pytest.approx(1.0)
    assert SHARES.keys() == CONTRAST_BEND.keys()
