"""Teach the whole-image network the bones and whether the ligamentous part of the joint shows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as functional

from sparcc_pipeline.anatomy import AnatomyLabel
from sparcc_pipeline.training.augment import (
    Geometry2D,
    blur,
    random_curve,
    random_gain,
    random_grid,
    random_noise,
    sample,
    sometimes,
    uniform,
)
from sparcc_pipeline.training.dataset import BoneSamples
from sparcc_pipeline.training.labels import IGNORE
from sparcc_pipeline.imaging.networks import BONE_CLASSES, BONE_NETWORK, build_network

SHARES: Final = {"stir": 0.60, "t1": 0.12, "pelvic": 0.13, "phantom": 0.15}
"""Share of each kind of stack in a batch."""

CONTRAST_BEND: Final = {"stir": 0.10, "t1": 0.35, "pelvic": 0.35, "phantom": 0.12}
"""How strongly the contrast of each kind is bent: T1 teaches shape, so its contrast must not be relied on."""


@dataclass(frozen=True)
class BonePlan:
    """How the bone network is trained; every number is in the model's provenance."""

    steps: int = 2500
    batch: int = 12
    patch: int = 224
    canvas: int = 336
    learning_rate: float = 2e-3
    weight_decay: float = 1e-3
    ligamentous_weight: float = 0.3
    average: float = 0.998


class BoneBatches:
    """Random augmented batches of three neighbouring slices on one device."""

    def __init__(self, samples: BoneSamples, without: str | None, plan: BonePlan, seed: int, device: str) -> None:
        self._plan = plan
        self.generator = torch.Generator(device=device).manual_seed(seed)
        chosen = [i for i, person in enumerate(samples.person) if person != without]
        images, labels, targets, bounds, kinds = [], [], [], [], []
        position = 0
        for i in chosen:
            count = len(samples.signal[i])
            images.append(_fit(samples.signal[i], plan.canvas, 0))
            labels.append(_fit(samples.label[i], plan.canvas, 0))
            targets.append(samples.ligamentous[i])
            bounds += [(position, position + count - 1)] * count
            kinds += [samples.kind[i]] * count
            position += count
        self._images = torch.from_numpy(np.concatenate(images)).to(device)
        self._labels = torch.from_numpy(np.concatenate(labels)).to(device)
        self._ligamentous = torch.from_numpy(np.concatenate(targets)).to(device)
        self._bounds = torch.tensor(bounds, device=device)
        kind = np.array(kinds)
        present = [name for name in SHARES if (kind == name).any()]
        weight = sum(SHARES[name] * (kind == name) / (kind == name).sum() for name in present)
        self._weight = torch.from_numpy(np.asarray(weight)).to(device)
        self._bend = torch.tensor([CONTRAST_BEND[name] for name in kinds], device=device)

    def next(self) -> tuple[Tensor, Tensor, Tensor]:
        """(n, 3, size, size) input, (n, size, size) labels, (n,) ligamentous target or -1."""
        plan, g = self._plan, self.generator
        k = torch.multinomial(self._weight, plan.batch, replacement=True, generator=g)
        # A step of two slices now and then stands for scanners with wider spacing, of none for narrower.
        step = torch.multinomial(torch.tensor([0.1, 0.75, 0.15], device=g.device), plan.batch, True, generator=g)
        low, high = self._bounds[k].unbind(1)
        index = torch.stack([torch.maximum(k - step, low), k, torch.minimum(k + step, high)], dim=1)
        image = self._images[index].float()
        label = self._labels[k][:, None].float()
        grid = random_grid(g, plan.batch, (plan.canvas, plan.canvas), plan.patch, Geometry2D(18, 0.25, 0.12, 45))
        image, label = sample(image, grid), sample(label, grid, nearest=True)[:, 0].round().long()
        image, label = self._mirror(image, label)
        image = random_curve(g, image, 1.0) * self._bend[k][:, None, None, None] + image * (
            1 - self._bend[k][:, None, None, None]
        )
        image = random_gain(g, image, 0.15, 0.15)
        image = sometimes(g, 0.3, blur(blur(image)), image)
        return random_noise(g, image, 0.15), label, self._ligamentous[k]

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


def _fit(stack: np.ndarray, size: int, fill: int) -> np.ndarray:
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


def bone_loss(output: Tensor, label: Tensor, ligamentous: Tensor, ligamentous_weight: float) -> Tensor:
    """Cross-entropy plus soft Dice over the classes, plus the ligamentous step inside sacrum and ilium."""
    logits, step = output[:, :BONE_CLASSES], output[:, BONE_CLASSES]
    entropy = functional.cross_entropy(logits, label, ignore_index=IGNORE)
    known = (label != IGNORE)[:, None].float()
    truth = functional.one_hot(label.clamp(max=BONE_CLASSES - 1), BONE_CLASSES).movedim(-1, 1).float() * known
    probability = torch.softmax(logits, dim=1) * known
    axes = (0, 2, 3)
    dice = 1 - (2 * (probability * truth).sum(axes) + 1) / (probability.sum(axes) + truth.sum(axes) + 1)
    bone = ((label >= 1) & (label <= 3) & (ligamentous >= 0)[:, None, None]).float()
    target = ligamentous.clamp(min=0)[:, None, None].expand_as(step)
    steps = functional.binary_cross_entropy_with_logits(step, target, weight=bone, reduction="sum")
    return entropy + dice.mean() + ligamentous_weight * steps / bone.sum().clamp(min=1)


def fit_bones(samples: BoneSamples, without: str | None, plan: BonePlan, seed: int, device: str,
              progress: Callable[[int, float], None] | None = None) -> nn.Module:  # fmt: skip
    """Train one network on everybody but `without`; the weights returned are a running average of the last steps."""
    torch.manual_seed(seed)
    network = build_network(BONE_NETWORK).to(device)
    averaged = torch.optim.swa_utils.AveragedModel(
        network, multi_avg_fn=torch.optim.swa_utils.get_ema_multi_avg_fn(plan.average), use_buffers=True
    )
    optimizer = torch.optim.AdamW(network.parameters(), lr=plan.learning_rate, weight_decay=plan.weight_decay)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, plan.learning_rate, total_steps=plan.steps)
    batches = BoneBatches(samples, without, plan, seed, device)
    for step in range(plan.steps):
        image, label, ligamentous = batches.next()
        loss = bone_loss(network(image), label, ligamentous, plan.ligamentous_weight)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        schedule.step()
        averaged.update_parameters(network)
        if progress is not None and step % 50 == 0:
            progress(step, float(loss.detach()))
    result: nn.Module = averaged.module
    return result.eval()
