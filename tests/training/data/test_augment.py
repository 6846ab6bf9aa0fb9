"""Simulated lesions, oblique slices, and the channels of a batch."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from sparcc_pipeline.imaging.model.normalize import JOINT_IN_SIGHT_MM, joint_closeness
from sparcc_pipeline.training.data.augment import FAINT, add_faint_lesions, add_lesions
from sparcc_pipeline.training.data.edema_samples import PHANTOM, edema_samples
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


def test_a_faint_lesion_is_little_brighter_than_marrow_and_stays_in_its_bone() -> None:
    nothing = torch.zeros((64, 3, SIZE, SIZE))
    bone = square(slice(0, 32), slice(0, 16)).expand(64, 1, SIZE, SIZE)
    distance = torch.full((64, 1, SIZE, SIZE), 5.0)

    signal, target = add_faint_lesions(generator(), nothing, torch.zeros((64, 4, SIZE, SIZE)), bone, distance, 1.0)

    assert not signal[..., 16:].any() and not target[..., 16:].any()
    brightest = signal[:, 1].amax(dim=(1, 2)).exp()
    assert 1.1 < brightest.max() <= FAINT[1] + 1e-5
    assert (target[:, 0, :, :16].mean(dim=(1, 2)) > 0.3).float().mean() > 0.5, "wide"
    assert torch.equal(target[:, 0], target[:, 3]), "all four readings get the lesion"


def test_no_faint_lesion_without_a_share() -> None:
    signal = torch.zeros((4, 3, SIZE, SIZE))

    assert torch.equal(
        add_faint_lesions(generator(), signal, signal[:, :1], signal[:, :1] + 1, signal[:, :1] + 5, 0.0)[0], signal
    )


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


@pytest.mark.parametrize(("inputs", "channels"), [((), 3), (("other",), 6)])
def test_a_batch_has_the_channels_that_the_network_takes(inputs: tuple[str, ...], channels: int) -> None:
    plan = EdemaPlan(batch=2, patch=64, inputs=inputs, faint_share=0.5, acquisition_share=0.5)
    samples = edema_samples([], [make_phantom(random_spec(2, pixel_mm=0.95))])

    batch = EdemaBatches(samples, [PHANTOM], plan, 0).next()

    assert edema_network(plan)["in_channels"] == channels
    assert batch.image.shape == (2, channels, 64, 64)
    assert batch.target.shape == batch.weight.shape == (2, 1, 64, 64)
    assert 0 <= batch.target.min() <= batch.target.max() <= 1
    assert batch.readings.shape == batch.masks.shape == (2, 4, 64, 64)
    assert batch.share.shape == (2, 4)
