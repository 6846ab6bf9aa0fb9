"""Teach the whole-image network the bones, and how far each slice lies behind the transitional one."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as functional

from sparcc_pipeline.anatomy import AnatomyLabel
from sparcc_pipeline.imaging.networks import BONE_CLASSES, BONE_NETWORK, build_network
from sparcc_pipeline.imaging.normalize import BONE_PIXEL_MM
from sparcc_pipeline.training.augment import (
    Geometry2D,
    add_lesions,
    blur,
    random_curve,
    random_gain,
    random_grid,
    random_noise,
    sample,
    sometimes,
    uniform,
)
from sparcc_pipeline.training.dataset import FAR_FROM_JOINT_MM, BoneSamples
from sparcc_pipeline.training.labels import IGNORE
from sparcc_pipeline.training.loop import Progress, Schedule, train_steps

SHARES: Final = {"stir": 0.78, "t1": 0.08, "pelvic": 0.04, "phantom": 0.10}
"""Share of each kind of stack in a batch."""

CONTRAST_BEND: Final = {"stir": 0.04, "t1": 0.35, "pelvic": 0.35, "phantom": 0.12}
"""How strongly the contrast of each kind is bent: T1 teaches shape, so its contrast must not be relied on."""

WITHOUT_JOINT: Final = 0.2
"""How often a slice without a joint is drawn, against one with a joint: the joint is what the score needs."""

LARGEST_BEHIND_CM: Final = 3.0
"""Slices farther than this from the transitional one need not say how far they are."""


GEOMETRY: Final = Geometry2D(rotation=12, scale=0.15, stretch=0.06, shift=30, wave=2.0)


@dataclass(frozen=True)
class BonePlan:
    """How the bone network is trained; every number is in the model's provenance."""

    schedule: Schedule = Schedule(steps=1500, peak_learning_rate=2e-3)
    batch: int = 8
    patch: int = 192
    canvas: int = 336
    lesion_share: float = 0.3
    massive_share: float = 0.3
    place_weight: float = 0.3


class BoneBatches:
    """Random augmented batches of three neighbouring slices."""

    def __init__(self, samples: BoneSamples, without: str | None, plan: BonePlan, seed: int) -> None:
        self._plan = plan
        self.generator = torch.Generator().manual_seed(seed)
        chosen = [i for i, person in enumerate(samples.person) if person != without]
        images, labels, distances, places, bounds, kinds = [], [], [], [], [], []
        position = 0
        for i in chosen:
            count = len(samples.signal[i])
            images.append(_fit(samples.signal[i], plan.canvas, 0))
            labels.append(_fit(samples.label[i], plan.canvas, 0))
            distances.append(_fit(samples.joint_mm[i], plan.canvas, FAR_FROM_JOINT_MM))
            places.append(samples.behind_cm[i])
            bounds += [(position, position + count - 1)] * count
            kinds += [samples.kind[i]] * count
            position += count
        self._images = torch.from_numpy(np.concatenate(images))
        self._labels = torch.from_numpy(np.concatenate(labels))
        self._joint_mm = torch.from_numpy(np.concatenate(distances))
        self._behind_cm = torch.from_numpy(np.concatenate(places))
        self._bounds = torch.tensor(bounds)
        kind = np.array(kinds)
        present = [name for name in SHARES if (kind == name).any()]
        often = np.array([1.0 if (slice_ < 1).any() else WITHOUT_JOINT for slice_ in np.concatenate(distances)])
        weight = sum(SHARES[name] * often * (kind == name) / often[kind == name].sum() for name in present)
        self._weight = torch.from_numpy(np.asarray(weight))
        self._bend = torch.tensor([CONTRAST_BEND[name] for name in kinds])
        self._stir = torch.tensor([name == "stir" for name in kinds])

    def next(self) -> tuple[Tensor, Tensor, Tensor]:
        """(n, 3, size, size) input, (n, size, size) labels, (n,) place behind the transitional slice in cm or NaN."""
        plan, g = self._plan, self.generator
        k = torch.multinomial(self._weight, plan.batch, replacement=True, generator=g)
        # A step of two slices now and then stands for scanners with wider spacing, of none for narrower.
        step = torch.multinomial(torch.tensor([0.1, 0.75, 0.15], device=g.device), plan.batch, True, generator=g)
        low, high = self._bounds[k].unbind(1)
        index = torch.stack([torch.maximum(k - step, low), k, torch.minimum(k + step, high)], dim=1)
        image = self._images[index].float()
        distance, label = self._joint_mm[k][:, None].float(), self._labels[k][:, None].float()
        grid = random_grid(g, plan.batch, (plan.canvas, plan.canvas), plan.patch, GEOMETRY)
        image, distance = sample(image, grid), sample(distance, grid)
        label = sample(label, grid, nearest=True)[:, 0].round().long()
        image = self._with_lesions(image, label, distance, self._stir[k])
        image, label = self._mirror(image, label)
        bend = self._bend[k][:, None, None, None]
        image = random_curve(g, image, 1.0) * bend + image * (1 - bend)
        image = random_gain(g, image, 0.12, 0.12)
        image = sometimes(g, 0.15, blur(image), image)
        return random_noise(g, image, 0.06), label, self._behind_cm[k]

    def _with_lesions(self, image: Tensor, label: Tensor, distance: Tensor, stir: Tensor) -> Tensor:
        """STIR with edema simulated in sacrum and ilia, so that bright marrow is still bone."""
        bone = ((label >= 1) & (label <= 3))[:, None].float()
        plan = self._plan
        brighter, _ = add_lesions(self.generator, image, bone * 0, bone, distance, plan.lesion_share,
                                  plan.massive_share, BONE_PIXEL_MM)  # fmt: skip
        return torch.where(stir[:, None, None, None], brighter, image)

    def _mirror(self, image: Tensor, label: Tensor) -> tuple[Tensor, Tensor]:
        """Half of the batch mirrored, with right and left ilium changed over."""
        flip = uniform(self.generator, 0, 1, len(image)) < 0.5
        swapped = label.clone()
        swapped[label == AnatomyLabel.RIGHT_ILIUM] = int(AnatomyLabel.LEFT_ILIUM)
        swapped[label == AnatomyLabel.LEFT_ILIUM] = int(AnatomyLabel.RIGHT_ILIUM)
        return (
            torch.where(flip[:, None, None, None], image.flip(-1), image),
            torch.where(flip[:, None, None], swapped.flip(-1), label),
        )


def _fit(stack: NDArray[Any], size: int, fill: float) -> NDArray[Any]:
    """(slices, size, size): `stack` cut or padded about its middle."""
    for axis in (1, 2):
        over = stack.shape[axis] - size
        if over > 0:
            stack = np.take(stack, range(over // 2, over // 2 + size), axis=axis)
        elif over < 0:
            pad = [(0, 0)] * 3
            pad[axis] = (-over // 2, -over - (-over // 2))
            stack = np.pad(stack, pad, constant_values=fill)
    return np.ascontiguousarray(stack)


def bone_loss(output: Tensor, label: Tensor, behind_cm: Tensor, place_weight: float) -> Tensor:
    """Cross-entropy plus soft Dice over the classes, plus the place of the slice as the bones tell it."""
    logits, place = output[:, :BONE_CLASSES], output[:, BONE_CLASSES]
    entropy = functional.cross_entropy(logits, label, ignore_index=IGNORE)
    known = (label != IGNORE)[:, None].float()
    truth = functional.one_hot(label.clamp(max=BONE_CLASSES - 1), BONE_CLASSES).movedim(-1, 1).float() * known
    probability = torch.softmax(logits, dim=1) * known
    axes = (0, 2, 3)
    dice = 1 - (2 * (probability * truth).sum(axes) + 1) / (probability.sum(axes) + truth.sum(axes) + 1)
    bone = (((label >= 1) & (label <= 3)) | (label == IGNORE)).float()
    said = (place * bone).sum((1, 2)) / bone.sum((1, 2)).clamp(min=1)
    told = (bone.sum((1, 2)) > 0) & torch.isfinite(behind_cm)
    target = torch.nan_to_num(behind_cm).clamp(-LARGEST_BEHIND_CM, LARGEST_BEHIND_CM)
    error = functional.smooth_l1_loss(said, target, reduction="none", beta=0.3)
    return entropy + dice.mean() + place_weight * (error * told).sum() / told.sum().clamp(min=1)


def fit_bones(samples: BoneSamples, without: str | None, plan: BonePlan, seed: int,
              checkpoint: Path | None = None, progress: Progress | None = None) -> nn.Module:  # fmt: skip
    """Train one network on everybody but `without`."""
    torch.manual_seed(seed)
    network = build_network(BONE_NETWORK)
    batches = BoneBatches(samples, without, plan, seed)

    def next_loss(network: nn.Module) -> Tensor:
        image, label, behind_cm = batches.next()
        output = network(image.contiguous(memory_format=torch.channels_last))
        return bone_loss(output, label, behind_cm, plan.place_weight)

    return train_steps(network, next_loss, batches.generator, plan.schedule, checkpoint, progress)
