"""What is simulated in training: lesions of other joints, oblique slices, a joint shown where it is."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from sparcc_pipeline.imaging.model.normalize import JOINT_IN_SIGHT_MM, joint_closeness
from sparcc_pipeline.training.data.augment import add_lesions, transplant_lesions
from sparcc_pipeline.training.data.dataset import PHANTOM, edema_samples
from sparcc_pipeline.training.data.phantom import make_phantom
from sparcc_pipeline.training.data.phantom_spec import random_spec
from sparcc_pipeline.training.fit.bones import _oblique
from sparcc_pipeline.training.fit.edema import EdemaBatches, EdemaPlan, edema_network

SIZE = 32


def generator() -> torch.Generator:
    return torch.Generator().manual_seed(0)


def square(rows: slice, columns: slice, channels: int = 1) -> torch.Tensor:
    mask = torch.zeros((1, channels, SIZE, SIZE))
    mask[:, :, rows, columns] = 1
    return mask


def test_a_transplanted_lesion_is_as_bright_as_where_it_comes_from_and_stays_in_marrow() -> None:
    lesion = square(slice(8, 24), slice(8, 24), channels=3)
    bone = square(slice(0, 32), slice(0, 16))

    signal, target = transplant_lesions(
        generator(), torch.zeros((1, 3, SIZE, SIZE)), torch.zeros((1, 3, SIZE, SIZE)), bone, lesion * 0.9, lesion, 1.0
    )

    inside, outside_bone = signal[0, 1, 10:22, 10:14], signal[0, :, :, 16:]
    assert torch.all((inside >= 0.6 * 0.9 - 1e-6) & (inside <= 1.1 * 0.9 + 1e-6))
    assert torch.all(outside_bone == 0)
    assert torch.equal(target, lesion * bone)


def test_a_transplanted_lesion_never_darkens_brighter_edema() -> None:
    lesion = square(slice(8, 24), slice(8, 24), channels=3)
    bright = torch.full((1, 3, SIZE, SIZE), 2.0)

    signal, _ = transplant_lesions(generator(), bright, lesion, square(slice(0, 32), slice(0, 32)), lesion, lesion, 1.0)

    assert torch.equal(signal, bright)


@pytest.mark.parametrize("beside_share", [0.0, 1.0])
def test_a_lesion_on_a_neighbouring_slice_alone_is_no_edema_of_this_one(beside_share: float) -> None:
    nothing = torch.zeros((64, 3, SIZE, SIZE))
    bone = torch.ones((64, 1, SIZE, SIZE))

    signal, target = add_lesions(
        generator(), nothing, nothing[:, 1:2], bone, bone * 5, 0.6, 1.0, 0.5, beside_share=beside_share
    )

    brightened = signal.amax(dim=(2, 3)) > 0
    if beside_share:
        assert not target.any() and not brightened[:, 1].any()
        assert (brightened.sum(dim=1) == 1).all()
        assert brightened[:, 0].any() and brightened[:, 2].any()
    else:
        assert (target.amax(dim=(1, 2, 3)) > 0).all() and brightened[:, 1].all()


def test_an_oblique_slice_shows_each_place_at_its_own_depth() -> None:
    depth = torch.arange(10.0)[:, None, None].expand(10, SIZE, SIZE)
    line = torch.linspace(-1, 1, SIZE)
    grid = torch.stack(torch.meshgrid(line, line, indexing="xy"), dim=-1)
    tilted = 4 + 2.5 * grid[..., 0]

    found = _oblique(depth, grid, [tilted, torch.full((SIZE, SIZE), 3.0), torch.full((SIZE, SIZE), 30.0)])

    torch.testing.assert_close(found[0], tilted)
    torch.testing.assert_close(found[1], torch.full((SIZE, SIZE), 3.0))
    assert torch.all(found[2] == 9), "behind the last slice lies the last slice"


def test_closeness_is_one_formula_for_both_kinds_of_arrays() -> None:
    distance = np.array([0.0, JOINT_IN_SIGHT_MM / 2, JOINT_IN_SIGHT_MM, 100.0], dtype=np.float32)

    assert joint_closeness(distance).tolist() == [-1, 0, 1, 1]
    assert joint_closeness(torch.from_numpy(distance)).tolist() == [-1, 0, 1, 1]


@pytest.mark.parametrize(("inputs", "channels"), [((), 3), (("joint",), 5), (("joint", "t1"), 6)])
def test_a_batch_has_the_channels_that_the_network_takes(inputs: tuple[str, ...], channels: int) -> None:
    plan = EdemaPlan(batch=2, patch=64, inputs=inputs, transplant_share=0.5)
    samples = edema_samples([], [make_phantom(random_spec(2, pixel_mm=0.95))])

    image, target, weight = EdemaBatches(samples, [PHANTOM], plan, 0).next()

    assert edema_network(plan)["in_channels"] == channels
    assert image.shape == (2, channels, 64, 64)
    assert target.shape == weight.shape == (2, 1, 64, 64)
    assert 0 <= target.min() <= target.max() <= 1
