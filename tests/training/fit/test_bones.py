"""The labels of the bone network: classes where known, bone without a name, nothing where ignored."""

from __future__ import annotations

import pytest
import torch

from sparcc_pipeline.anatomy import AnatomyLabel
from sparcc_pipeline.imaging.model.networks import BONE_CLASSES
from sparcc_pipeline.training.data.labels import IGNORE, SOME_BONE
from sparcc_pipeline.training.fit.bones import bone_loss

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
