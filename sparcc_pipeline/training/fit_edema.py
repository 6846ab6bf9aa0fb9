"""Teach the joint-centred network edema: soft labels of four readings, lesions and distractors simulated on top."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as functional

from sparcc_pipeline.imaging.networks import EDEMA_NETWORK, build_network
from sparcc_pipeline.imaging.normalize import EDEMA_PIXEL_MM
from sparcc_pipeline.sparcc.joint import QUADRANT_REACH_MM
from sparcc_pipeline.training.augment import (
    Geometry2D,
    add_distractors,
    add_lesions,
    blur,
    random_gain,
    random_grid,
    random_noise,
    sample,
    sometimes,
)
from sparcc_pipeline.training.dataset import EdemaSamples
from sparcc_pipeline.training.loop import Progress, Schedule, train_steps


@dataclass(frozen=True)
class EdemaPlan:
    """How the edema network is trained; every number is in the model's provenance."""

    schedule: Schedule = Schedule(steps=1200, peak_learning_rate=2e-3)
    batch: int = 16
    patch: int = 128
    lesion_share: float = 0.4
    massive_share: float = 0.25
    distractor_share: float = 0.5
    gain_smooth: float = 0.15
    gain_overall: float = 0.08
    noise: float = 0.12
    joint_band_mm: float = 1.5
    dice_weight: float = 0.5


class EdemaBatches:
    """Random augmented batches, people drawn evenly so that none dominates."""

    def __init__(self, samples: EdemaSamples, people: list[str], plan: EdemaPlan, seed: int) -> None:
        keep = np.isin(samples.person, [samples.people.index(name) for name in people])
        self._plan = plan
        self.generator = torch.Generator().manual_seed(seed)
        self._stack = torch.from_numpy(
            np.concatenate(
                [
                    samples.images[keep],
                    *(
                        part[keep][:, None]
                        for part in (samples.bone, samples.target, samples.distance_mm, samples.edge_mm)
                    ),
                ],
                axis=1,
            ).astype(np.float32)
        )
        owner = samples.person[keep]
        weight = 1.0 / np.bincount(owner)[owner]
        self._weight = torch.from_numpy(weight / weight.sum())

    def next(self) -> tuple[Tensor, Tensor, Tensor]:
        """(n, 3, size, size) input, (n, 1, size, size) target, (n, 1, size, size) weight of each pixel."""
        plan, generator = self._plan, self.generator
        chosen = torch.multinomial(self._weight, plan.batch, replacement=True, generator=generator)
        stack = self._stack[chosen]
        size = stack.shape[-1]
        grid = random_grid(generator, plan.batch, (size, size), plan.patch, Geometry2D(rotation=20, shift=22))
        patch = sample(stack, grid)
        signal, bone, target, distance, edge = patch.split((3, 1, 1, 1, 1), dim=1)
        signal, target = add_lesions(generator, signal, target, bone, distance, plan.lesion_share, plan.massive_share,
                                     EDEMA_PIXEL_MM)  # fmt: skip
        signal = add_distractors(generator, signal, distance, edge, plan.distractor_share)
        signal = random_gain(generator, signal, plan.gain_smooth, plan.gain_overall)
        signal = sometimes(generator, 0.3, blur(signal), signal)
        signal = random_noise(generator, signal, plan.noise)
        weight = ((bone > 0.5) & (distance <= QUADRANT_REACH_MM + 5) & (distance > plan.joint_band_mm)).float()
        return signal, target, weight


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
    network = build_network(EDEMA_NETWORK)
    batches = EdemaBatches(samples, people, plan, seed)

    def next_loss(network: nn.Module) -> Tensor:
        image, target, weight = batches.next()
        logit = network(image.contiguous(memory_format=torch.channels_last))
        return edema_loss(logit, target, weight, plan.dice_weight)

    return train_steps(network, next_loss, batches.generator, plan.schedule, checkpoint, progress)
