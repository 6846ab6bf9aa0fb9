"""The loss of the points: worked out for a toy patch, and it moves a map towards what readers score."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from sparcc_pipeline.training.data.edema_samples import PHANTOM, edema_samples
from sparcc_pipeline.training.data.phantom import make_phantom
from sparcc_pipeline.training.data.phantom_spec import random_spec
from sparcc_pipeline.training.fit.edema import EdemaBatches, EdemaPlan, GenerousReadings, fit_edema
from sparcc_pipeline.training.fit.loop import Schedule
from sparcc_pipeline.training.fit.quadrant_loss import (
    STEEPNESS,
    point_share,
    quadrant_loss,
    quadrant_masks,
    random_cuts,
    seen_quadrants,
)

SIZE = 32
PIXEL_MM2 = 0.36


def codes() -> torch.Tensor:
    """(1, 1, 32, 32): four quadrants of 16 x 16 pixels, 92 mm2 each."""
    image = torch.zeros((1, 1, SIZE, SIZE))
    for place in range(4):
        rows, columns = slice(16 * (place // 2), None), slice(16 * (place % 2), None)
        image[:, :, rows, columns] = place + 1
    return image


def spot(pixels: int) -> torch.Tensor:
    """(1, 1, 32, 32) probability 1 in so many pixels of the first quadrant, 0 elsewhere."""
    image = torch.zeros((1, 1, SIZE, SIZE))
    image[0, 0, :16, :16].view(16, 16)[:, :] = (torch.arange(256) < pixels).float().view(16, 16)
    return image


def test_the_loss_of_a_toy_patch_is_the_cross_entropy_of_its_areas() -> None:
    masks, share = quadrant_masks(codes()), torch.tensor([[0.75, 0.0, 0.0, 0.0]])

    found = float(quadrant_loss(spot(40), masks, share))

    background = 1 / (1 + math.exp(0.3 / 0.05))
    full = 1 / (1 + math.exp(-0.7 / 0.05))
    areas = [PIXEL_MM2 * (40 * full + 216 * background), *[PIXEL_MM2 * 256 * background] * 3]
    chances = [1 / (1 + ((area + 0.1) / 8) ** -STEEPNESS) for area in areas]
    wanted = -(0.75 * math.log(chances[0]) + 0.25 * math.log(1 - chances[0]))
    wanted -= sum(math.log(1 - chance) for chance in chances[1:])
    assert found == pytest.approx(wanted / 4, rel=1e-4)


def test_the_loss_is_least_where_the_readers_are() -> None:
    masks, all_give = quadrant_masks(codes()), torch.tensor([[1.0, 0.0, 0.0, 0.0]])

    losses = [float(quadrant_loss(spot(pixels), masks, all_give)) for pixels in (0, 15, 60, 200)]

    assert losses == sorted(losses, reverse=True)
    none_give = torch.zeros((1, 4))
    assert float(quadrant_loss(spot(0), masks, none_give)) < float(quadrant_loss(spot(30), masks, none_give))


def test_a_gradient_step_changes_the_missed_quadrant_and_no_other() -> None:
    logit = torch.full((1, 1, SIZE, SIZE), -1.5, requires_grad=True)

    quadrant_loss(torch.sigmoid(logit), quadrant_masks(codes()), torch.tensor([[1.0, 0.0, 0.0, 0.0]])).backward()

    assert logit.grad is not None
    assert (logit.grad[0, 0, :16, :16] < 0).all(), "raised where all readings give the point"
    assert (logit.grad[0, 0, 16:] > 0).all(), "lowered where none does"


def test_the_share_counts_the_readings_that_reach_the_area() -> None:
    masks = quadrant_masks(codes())
    readings = torch.cat([spot(pixels) for pixels in (0, 22, 23, 100)], dim=1)

    share = point_share(readings, masks, torch.full((1, 4), 0.5))

    # 8 mm2 are 22.2 pixels of 0.36 mm2.
    assert share.tolist() == [[0.5, 0.0, 0.0, 0.0]]


def test_readings_of_a_soft_lesion_differ_as_its_rim_does() -> None:
    masks, soft = quadrant_masks(codes()), 0.5 * spot(100).expand(1, 4, SIZE, SIZE)

    shares = [point_share(soft, masks, random_cuts(torch.Generator().manual_seed(n), 1))[0, 0] for n in range(3)]

    assert [float(share) for share in shares] == [0.5, 0.5, 0.5], "two of the four cuts lie below one half"


def test_a_quadrant_out_of_sight_does_not_count() -> None:
    image = codes()
    image[image == 4] = 0
    image[0, 0, 31, 31] = 4

    masks = quadrant_masks(image)

    assert seen_quadrants(masks).tolist() == [[True, True, True, False]]
    missed = torch.tensor([[0.0, 0.0, 0.0, 1.0]])
    assert float(quadrant_loss(spot(0), masks, missed)) == float(quadrant_loss(spot(0), masks, torch.zeros((1, 4))))


@pytest.mark.parametrize("option", [{"quadrant_weight": 0.5}, {"separate_readings": True}, {"inputs": ("other",)}])
def test_every_option_trains(option: dict[str, object]) -> None:
    samples = edema_samples([], [make_phantom(random_spec(2, pixel_mm=0.95))])
    plan = EdemaPlan(schedule=Schedule(2, 1e-3), batch=2, patch=64)
    changed = EdemaPlan(**{**vars(plan), **option})

    plain, network = (fit_edema(samples, [PHANTOM], each, 0) for each in (plan, changed))

    image = torch.zeros((1, 3, 64, 64))
    image = torch.cat([image, image], dim=1) if changed.inputs else image
    assert network(image).shape == (1, 1, 64, 64)
    if not changed.inputs:
        assert not torch.equal(plain(image), network(image)), "the option reaches the loss"


def test_the_spread_is_that_of_the_readings_of_a_person() -> None:
    generous = GenerousReadings(torch.nn.Identity(), 3)
    with torch.no_grad():
        generous.generosity[0] = torch.tensor([-1.0, 1.0, -1.0, 1.0])
        generous.generosity[1] = 5.0 + torch.tensor([-1.0, 1.0, -1.0, 1.0])
        generous.generosity[2] = 9.0

    assert generous.spread([0, 1]) == pytest.approx((4 / 3) ** 0.5), "differences between people do not count"
    assert generous.spread([2]) == 0.0


def test_a_generous_reading_moves_its_own_offset_up() -> None:
    samples = edema_samples([], [make_phantom(random_spec(2, pixel_mm=0.95))])
    batch = EdemaBatches(samples, [PHANTOM], EdemaPlan(batch=4, patch=64), 0).next()
    readings = torch.zeros_like(batch.readings)
    readings[:, 2] = 1.0
    generous = GenerousReadings(torch.nn.Identity(), 1)

    generous.loss(torch.zeros_like(batch.weight), type(batch)(**{**vars(batch), "readings": readings}), 0.5).backward()

    gradient = generous.generosity.grad
    assert gradient is not None
    assert np.sign(gradient[0].numpy()).tolist() == [1, 1, -1, 1]
