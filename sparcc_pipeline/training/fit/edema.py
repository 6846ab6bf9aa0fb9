"""Teach the joint-centred network edema: soft labels of four readings, lesions and distractors simulated on top."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as functional

from sparcc_pipeline.imaging.model.networks import EDEMA_NETWORK, build_network
from sparcc_pipeline.imaging.model.normalize import EDEMA_PIXEL_MM, joint_closeness
from sparcc_pipeline.sparcc.joint import QUADRANT_REACH_MM
from sparcc_pipeline.training.data.augment import (
    Geometry2D,
    add_distractors,
    add_lesions,
    blur,
    random_gain,
    random_grid,
    random_noise,
    sample,
    sometimes,
    transplant_lesions,
    uniform,
)
from sparcc_pipeline.training.data.dataset import EdemaSamples
from sparcc_pipeline.training.fit.loop import Forward, Progress, Schedule, train_steps


@dataclass(frozen=True)
class EdemaPlan:
    """How the edema network is trained; every number is in the model's provenance.

    `inputs` are what it sees besides the STIR of three slices (see `EXTRA_CHANNELS`), `channels` the widths of the
    U-Net's levels; of the batch a share gets simulated lesions (of which a share is massive, a share on a neighbouring
    slice alone), a share lesions transplanted from other joints.
    """

    schedule: Schedule = Schedule(steps=1200, peak_learning_rate=2e-3)
    batch: int = 16
    patch: int = 128
    channels: tuple[int, ...] = (16, 32, 64, 128)
    inputs: tuple[str, ...] = ()
    lesion_share: float = 0.4
    massive_share: float = 0.25
    beside_share: float = 0.25
    transplant_share: float = 0.0
    distractor_share: float = 0.5
    gain_smooth: float = 0.15
    gain_overall: float = 0.08
    noise: float = 0.12
    joint_band_mm: float = 1.5
    dice_weight: float = 0.5


EXTRA_CHANNELS: Final = {"joint": 2, "t1": 1}
"""Channels of what a design may see besides the STIR (`normalize.edema_input`)."""

WITHOUT_T1: Final = 0.5
"""Share of the batch that has no T1, so that a network that may see it loses nothing without."""

MISPLACED_PIXELS: Final = 2.0
"""The joint of a person never seen is found so far off, and so far off it is shown in training."""

STIR_CHANNELS: Final = 3


def edema_network(plan: EdemaPlan) -> dict[str, Any]:
    """The MONAI network definition of a plan."""
    return {
        **EDEMA_NETWORK,
        "in_channels": STIR_CHANNELS + sum(EXTRA_CHANNELS[name] for name in plan.inputs),
        "channels": list(plan.channels),
        "strides": [2] * (len(plan.channels) - 1),
    }


class EdemaBatches:
    """Random augmented batches, people drawn evenly so that none dominates."""

    def __init__(self, samples: EdemaSamples, people: list[str], plan: EdemaPlan, seed: int) -> None:
        keep = np.isin(samples.person, [samples.people.index(name) for name in people])
        self._plan = plan
        self.generator = torch.Generator().manual_seed(seed)
        single = (samples.t1, samples.bone, samples.distance_mm, samples.edge_mm)
        parts = [samples.images[keep], samples.target[keep], *(part[keep][:, None] for part in single)]
        self._stack = torch.from_numpy(np.concatenate(parts, axis=1).astype(np.float32))
        owner = samples.person[keep]
        self._weight = torch.from_numpy(1.0 / np.bincount(owner)[owner])
        drawn = samples.target[keep][:, 1].astype(np.float32) > 0.5
        self._donates = self._weight * torch.from_numpy(drawn.any(axis=(1, 2)))

    def next(self) -> tuple[Tensor, Tensor, Tensor]:
        """(n, channels, size, size) input, (n, 1, size, size) target, (n, 1, size, size) weight of each pixel."""
        plan, generator = self._plan, self.generator
        signal, target, t1, bone, distance, edge = self._draw(self._weight, Geometry2D(rotation=20, shift=22))
        if plan.transplant_share:
            donor, donated, *_ = self._draw(self._donates, Geometry2D(rotation=20, shift=8))
            signal, target = transplant_lesions(generator, signal, target, bone, donor, donated, plan.transplant_share)
        signal, target = add_lesions(generator, signal, target[:, 1:2], bone, distance, EDEMA_PIXEL_MM,
                                     plan.lesion_share, plan.massive_share, plan.beside_share)  # fmt: skip
        signal = add_distractors(generator, signal, distance, edge, plan.distractor_share)
        signal = random_gain(generator, signal, plan.gain_smooth, plan.gain_overall)
        signal = sometimes(generator, 0.3, blur(signal), signal)
        signal = random_noise(generator, signal, plan.noise)
        weight = ((bone > 0.5) & (distance <= QUADRANT_REACH_MM + 5) & (distance > plan.joint_band_mm)).float()
        return torch.cat([signal, *self._extra(t1, bone, distance)], dim=1), target, weight

    def _draw(self, weight: Tensor, geometry: Geometry2D) -> tuple[Tensor, ...]:
        """Patches of signal, target, T1, bone, distance from the joint and from the bones' outline."""
        chosen = torch.multinomial(weight, self._plan.batch, replacement=True, generator=self.generator)
        size = self._stack.shape[-1]
        grid = random_grid(self.generator, self._plan.batch, (size, size), self._plan.patch, geometry)
        parts: tuple[Tensor, ...] = sample(self._stack[chosen], grid).split((3, 3, 1, 1, 1, 1), dim=1)
        return parts

    def _extra(self, t1: Tensor, bone: Tensor, distance: Tensor) -> list[Tensor]:
        """The channels that the plan adds, with the faults they have on people never seen."""
        plan, generator = self._plan, self.generator
        extra = []
        if "joint" in plan.inputs:
            shown = torch.cat([bone, joint_closeness(distance)], dim=1)
            off = uniform(generator, -MISPLACED_PIXELS, MISPLACED_PIXELS, plan.batch, 2) * 2 / (plan.patch - 1)
            eye = torch.eye(2).expand(plan.batch, 2, 2)
            grid = functional.affine_grid(
                torch.cat([eye, off[..., None]], dim=2), list(shown.shape), align_corners=True
            )
            extra.append(sample(shown, grid))
        if "t1" in plan.inputs:
            seen = random_noise(generator, random_gain(generator, t1, plan.gain_smooth, 0.15), plan.noise)
            extra.append(sometimes(generator, WITHOUT_T1, torch.zeros_like(seen), seen))
        return extra


def edema_loss(logit: Tensor, target: Tensor, weight: Tensor, dice_weight: float) -> Tensor:
    """Cross-entropy against the soft label plus soft Dice over the batch, inside `weight`."""
    entropy = functional.binary_cross_entropy_with_logits(logit, target, weight=weight, reduction="sum")
    probability = torch.sigmoid(logit) * weight
    overlap = 2 * (probability * target).sum() + 1
    dice = 1 - overlap / (probability.sum() + (target * weight).sum() + 1)
    return entropy / weight.sum().clamp(min=1) + dice_weight * dice


def fit_edema(samples: EdemaSamples, people: list[str], plan: EdemaPlan, seed: int,
              checkpoint: Path | None = None, progress: Progress | None = None) -> nn.Module:  # fmt: skip
    """Train one network on `people`."""
    torch.manual_seed(seed)
    network = build_network(edema_network(plan))
    batches = EdemaBatches(samples, people, plan, seed)

    def next_loss(forward: Forward) -> Tensor:
        image, target, weight = batches.next()
        return edema_loss(forward(image), target, weight, plan.dice_weight)

    return train_steps(network, next_loss, batches.generator, plan.schedule, checkpoint, progress)
