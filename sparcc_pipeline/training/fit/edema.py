"""Train the edema network on patches about each joint: four readings, with lesions and distractors simulated on top."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as functional

from sparcc_pipeline.anatomy import Bone, Quadrant
from sparcc_pipeline.imaging.model.networks import EDEMA_NETWORK, build_network
from sparcc_pipeline.imaging.model.normalize import EDEMA_PIXEL_MM
from sparcc_pipeline.sparcc.joint import QUADRANT_REACH_MM
from sparcc_pipeline.training.data.acquisition import random_acquisition
from sparcc_pipeline.training.data.augment import (
    Geometry2D,
    add_distractors,
    add_faint_lesions,
    add_lesions,
    blur,
    random_gain,
    random_grid,
    random_noise,
    sample,
    sometimes,
    uniform,
)
from sparcc_pipeline.training.data.edema_samples import EdemaSamples
from sparcc_pipeline.training.data.labels import READINGS
from sparcc_pipeline.training.fit.loop import Forward, Progress, Schedule, train_steps
from sparcc_pipeline.training.fit.quadrant_loss import point_share, quadrant_loss, quadrant_masks, random_cuts


@dataclass(frozen=True)
class EdemaPlan:
    """How the edema network is trained; every number is in the model's provenance.

    Parameters
    ----------
    inputs : what the network sees besides the STIR of three slices, see `EXTRA_CHANNELS`
    channels : widths of the U-Net's levels
    lesion_share : share of the batch that gets simulated lesions; of these `massive_share` are massive and
        `beside_share` are on a neighboring slice alone
    faint_share : share of the batch that gets a faint, wide lesion of one bone
    distractor_share, acquisition_share : share of the batch that gets distractors, or another acquisition
    quadrant_weight : of the quadrant loss beside the loss of the pixels
    separate_readings : fit a common map and the generosity of each reading of each person, instead of the mean reading
    """

    schedule: Schedule = Schedule(steps=1200, peak_learning_rate=2e-3)
    batch: int = 16
    patch: int = 128
    channels: tuple[int, ...] = (16, 32, 64, 128)
    inputs: tuple[str, ...] = ()
    lesion_share: float = 0.4
    massive_share: float = 0.25
    beside_share: float = 0.25
    faint_share: float = 0.0
    distractor_share: float = 0.5
    acquisition_share: float = 0.0
    gain_smooth: float = 0.15
    gain_overall: float = 0.08
    noise: float = 0.12
    joint_band_mm: float = 1.5
    dice_weight: float = 0.5
    quadrant_weight: float = 0.0
    separate_readings: bool = False


EXTRA_CHANNELS: Final = {"other": 3}
"""Channels that a design may see besides the STIR: "other" is the other side's joint, mirrored, on the same slices."""

STIR_CHANNELS: Final = 3

OTHER_LESION_SHARE: Final = 0.2
"""Share of the batch whose other side gets simulated lesions: often one side alone has them."""

GENEROSITY_PRIOR: Final = 0.02
"""Weight of the squared generosity in the loss: a reading differs from the common map only where it must."""


def edema_network(plan: EdemaPlan) -> dict[str, Any]:
    """Return the MONAI network definition of a plan."""
    return {
        **EDEMA_NETWORK,
        "in_channels": STIR_CHANNELS + sum(EXTRA_CHANNELS[name] for name in plan.inputs),
        "channels": list(plan.channels),
        "strides": [2] * (len(plan.channels) - 1),
    }


@dataclass(frozen=True, eq=False)
class EdemaBatch:
    """One batch.

    Parameters
    ----------
    image : (n, channels, size, size), the input
    readings : (n, 4, size, size), edema of each reading, 0 to 1
    weight : (n, 1, size, size), weight of each pixel
    masks : (n, 4, size, size), the evaluable quadrants
    share : (n, 4), share of the readings that give the point of each quadrant
    person : (n,) index of the person
    """

    image: Tensor
    readings: Tensor
    weight: Tensor
    masks: Tensor
    share: Tensor
    person: Tensor

    @property
    def target(self) -> Tensor:
        """(n, 1, size, size) share of the readings that call each pixel edema."""
        return self.readings.mean(dim=1, keepdim=True)


class EdemaBatches:
    """Random augmented batches; people are drawn evenly, so that none dominates."""

    def __init__(self, samples: EdemaSamples, people: list[str], plan: EdemaPlan, seed: int) -> None:
        self._plan = plan
        self.generator = torch.Generator().manual_seed(seed)
        single = (samples.bone, samples.distance_mm, samples.edge_mm)
        parts = [samples.images, samples.readings, *(part[:, None] for part in single)]
        self._stack = torch.from_numpy(np.concatenate(parts, axis=1).astype(np.float32))
        self._quadrant = torch.from_numpy(samples.quadrant[:, None].astype(np.float32))
        self._other = torch.from_numpy(samples.other)
        self._person = torch.from_numpy(samples.person)
        keep = np.isin(samples.person, [samples.people.index(name) for name in people])
        often = np.bincount(samples.person[keep], minlength=len(samples.people))
        self._weight = torch.from_numpy(np.where(keep, 1.0 / np.maximum(often, 1)[samples.person], 0.0))

    def next(self) -> EdemaBatch:
        """Return the next batch."""
        plan, g = self._plan, self.generator
        chosen = torch.multinomial(self._weight, plan.batch, replacement=True, generator=g)
        size = self._stack.shape[-1]
        grid = random_grid(g, plan.batch, (size, size), plan.patch, Geometry2D(rotation=20, shift=22))
        signal, readings, bone, distance, edge = sample(self._stack[chosen], grid).split((3, 4, 1, 1, 1), dim=1)
        masks = quadrant_masks(sample(self._quadrant[chosen], grid, nearest=True))
        signal, readings = add_lesions(
            g,
            signal,
            readings,
            bone,
            distance,
            EDEMA_PIXEL_MM,
            plan.lesion_share,
            plan.massive_share,
            plan.beside_share,
        )
        if plan.faint_share:
            beside = _one_bone(g, masks)
            signal, readings = add_faint_lesions(g, signal, readings, beside, distance, plan.faint_share)
        signal = add_distractors(g, signal, distance, edge, plan.distractor_share)
        shown = [signal]
        if "other" in plan.inputs:
            shown.append(self._other_side(chosen, grid))
        return EdemaBatch(
            image=self._acquired(shown),
            readings=readings,
            weight=((bone > 0.5) & (distance <= QUADRANT_REACH_MM + 5) & (distance > plan.joint_band_mm)).float(),
            masks=masks,
            share=point_share(readings, masks, random_cuts(g, plan.batch)),
            person=self._person[chosen],
        )

    def _other_side(self, chosen: Tensor, grid: Tensor) -> Tensor:
        """Return (n, 3, size, size) signal of the other side's joint on the same slices, 0 where there is none.

        The crop of a left joint is mirrored, so both sides are aligned already, and one grid serves both.
        """
        g = self.generator
        other = self._other[chosen]
        signal, _, bone, distance, _ = sample(self._stack[other.clamp(min=0)], grid).split((3, 4, 1, 1, 1), dim=1)
        nothing = torch.zeros_like(bone)
        signal, _ = add_lesions(g, signal, nothing, bone, distance, EDEMA_PIXEL_MM, OTHER_LESION_SHARE, 0.25)
        return signal * (other >= 0)[:, None, None, None]

    def _acquired(self, shown: list[Tensor]) -> Tensor:
        """Return the input with random gain, blur, noise and acquisition: a smooth gain differs between the sides."""
        plan, g = self._plan, self.generator
        image = torch.cat([random_gain(g, each, plan.gain_smooth, 0.0) for each in shown], dim=1)
        image = random_gain(g, image, 0.0, plan.gain_overall)
        if plan.acquisition_share:
            image = random_acquisition(g, image, plan.acquisition_share)
        image = sometimes(g, 0.3, blur(image), image)
        return random_noise(g, image, plan.noise)


def _one_bone(generator: torch.Generator, masks: Tensor) -> Tensor:
    """Return (n, 1, size, size): the evaluable quadrants of one bone, for each patch the ilium or the sacrum."""
    is_ilium = torch.tensor([quadrant.bone is Bone.ILIUM for quadrant in Quadrant], device=masks.device)
    ilium = uniform(generator, 0, 1, len(masks)) < 0.6
    wanted = ilium[:, None] == is_ilium[None]
    return (masks * wanted[:, :, None, None]).sum(dim=1, keepdim=True)


def edema_loss(logit: Tensor, target: Tensor, weight: Tensor, dice_weight: float) -> Tensor:
    """Return the cross-entropy against the soft label plus soft Dice over the batch, inside `weight`."""
    entropy = functional.binary_cross_entropy_with_logits(logit, target, weight=weight, reduction="sum")
    return entropy / weight.sum().clamp(min=1) + dice_weight * _soft_dice(logit, target, weight)


def _soft_dice(logit: Tensor, target: Tensor, weight: Tensor) -> Tensor:
    probability = torch.sigmoid(logit) * weight
    overlap = 2 * (probability * target).sum() + 1
    return 1 - overlap / (probability.sum() + (target * weight).sum() + 1)


class GenerousReadings(nn.Module):
    """A network whose map all readings share, and the generosity of each reading of each person, in log odds."""

    def __init__(self, network: nn.Module, people: int) -> None:
        super().__init__()
        self.network = network
        self.generosity = nn.Parameter(torch.zeros(people, len(READINGS)))

    def forward(self, image: Tensor) -> Tensor:
        """Return the logit of the common map."""
        logit: Tensor = self.network(image)
        return logit

    def spread(self, people: list[int]) -> float:
        """Return the standard deviation of the generosity of readings within a person, in log odds."""
        variance = self.generosity.detach()[people].var(dim=1).mean()
        return float(variance.sqrt())

    def loss(self, logit: Tensor, batch: EdemaBatch, dice_weight: float) -> Tensor:
        """Return the cross-entropy against each reading by its own generosity, plus soft Dice of the common map."""
        each = logit + self.generosity[batch.person][:, :, None, None]
        weight = batch.weight.expand_as(each)
        entropy = functional.binary_cross_entropy_with_logits(each, batch.readings, weight=weight, reduction="sum")
        prior = GENEROSITY_PRIOR * self.generosity.square().mean()
        dice = _soft_dice(logit, batch.target, batch.weight)
        return entropy / weight.sum().clamp(min=1) + dice_weight * dice + prior


def fit_edema(
    samples: EdemaSamples,
    people: list[str],
    plan: EdemaPlan,
    seed: int,
    checkpoint: Path | None = None,
    progress: Progress | None = None,
) -> nn.Module:
    """Train one network on `people`; with `separate_readings` return it as GenerousReadings."""
    torch.manual_seed(seed)
    network = build_network(edema_network(plan))
    batches = EdemaBatches(samples, people, plan, seed)
    generous = GenerousReadings(network, len(samples.people)) if plan.separate_readings else None

    def next_loss(forward: Forward) -> Tensor:
        batch = batches.next()
        logit = forward(batch.image)
        if generous is None:
            loss = edema_loss(logit, batch.target, batch.weight, plan.dice_weight)
        else:
            loss = generous.loss(logit, batch, plan.dice_weight)
        if plan.quadrant_weight:
            loss = loss + plan.quadrant_weight * quadrant_loss(torch.sigmoid(logit), batch.masks, batch.share)
        return loss

    return train_steps(generous or network, next_loss, batches.generator, plan.schedule, checkpoint, progress)
