"""Train the bone network: the bones of a slice, and how far the slice is behind the transitional one."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as functional

from sparcc_pipeline.anatomy import AnatomyLabel
from sparcc_pipeline.imaging.model.networks import BONE_CLASSES, BONE_NETWORK, build_network
from sparcc_pipeline.imaging.model.normalize import BONE_PIXEL_MM
from sparcc_pipeline.training.data.augment import (
    Geometry2D,
    add_lesions,
    blur,
    random_curve,
    random_gain,
    random_grid,
    random_noise,
    sometimes,
    uniform,
)
from sparcc_pipeline.training.data.dataset import FAR_FROM_JOINT_MM, BoneSamples
from sparcc_pipeline.training.data.labels import IGNORE, SOME_BONE
from sparcc_pipeline.training.fit.loop import Forward, Progress, Schedule, train_steps

SHARES: Final = {
    "stir": 0.54,
    "t1": 0.18,
    "outlined": 0.07,
    "weak": 0.06,
    "pelvic": 0.04,
    "simulated": 0.06,
    "phantom": 0.05,
}
"""Share of each kind of stack in a batch."""

CONTRAST_BEND: Final = {
    "stir": 0.08,
    "t1": 0.2,
    "outlined": 0.2,
    "weak": 0.2,
    "pelvic": 0.35,
    "simulated": 0.2,
    "phantom": 0.12,
}
"""How strongly the contrast of each kind is bent. The pelves teach shape, so their contrast must not be relied on."""

SHAPE_KINDS: Final = ("pelvic", "simulated", "phantom")
"""Kinds that the network common to all folds learns from: none of these people is ever left out."""

WITHOUT_JOINT: Final = 0.2
"""How often a slice without a joint is drawn, against one with a joint: the joint is what the score needs."""

LARGEST_BEHIND_CM: Final = 3.0
"""Beyond this distance from the transitional slice the target no longer grows."""


GEOMETRY: Final = Geometry2D(rotation=15, scale=0.18, stretch=0.06, shift=30, wave=2.0)

NEAR_JOINT_MM: Final = 25.0
"""Within this distance of the joint a pixel counts NEAR_JOINT_WEIGHT times: the score depends on these pixels."""

NEAR_JOINT_WEIGHT: Final = 3.0


@dataclass(frozen=True)
class BonePlan:
    """How the bone network is trained; every number is in the model's provenance."""

    schedule: Schedule = Schedule(steps=1600, peak_learning_rate=2e-3)
    shapes_schedule: Schedule = Schedule(steps=500, peak_learning_rate=2e-3)
    batch: int = 8
    patch: int = 160
    canvas: int = 336
    lesion_share: float = 0.3
    massive_share: float = 0.3
    place_weight: float = 0.3
    tilt_share: float = 0.25
    tilt: float = 12.0


class BoneBatches:
    """Random augmented batches of three neighbouring slices."""

    def __init__(self, samples: BoneSamples, chosen: list[int], plan: BonePlan, seed: int) -> None:
        self._plan, self.place_weight = plan, plan.place_weight
        self.generator = torch.Generator().manual_seed(seed)
        fitted = ((samples.signal, 0), (samples.label, 0), (samples.joint_mm, FAR_FROM_JOINT_MM))
        self._stacks = [
            [torch.from_numpy(_fit(stacks[i], plan.canvas, fill)) for stacks, fill in fitted] for i in chosen
        ]
        self._where = [(n, k) for n, i in enumerate(chosen) for k in range(len(samples.signal[i]))]
        self._behind_cm = torch.from_numpy(np.concatenate([samples.behind_cm[i] for i in chosen]))
        self._spacing_mm = [samples.spacing_mm[i] for i in chosen]
        kind = np.array([samples.kind[i] for i in chosen for _ in range(len(samples.signal[i]))])
        present = [name for name in SHARES if (kind == name).any()]
        shows_joint = np.concatenate([(samples.joint_mm[i] < 1).any(axis=(1, 2)) for i in chosen])
        often = np.where(shows_joint, 1.0, WITHOUT_JOINT)
        weight = sum(SHARES[name] * often * (kind == name) / often[kind == name].sum() for name in present)
        self._weight = torch.from_numpy(np.asarray(weight))
        self._bend = torch.tensor([CONTRAST_BEND[name] for name in kind])
        self._stir = torch.tensor([bool(name == "stir") for name in kind])

    def next(self) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Return the next batch.

        Returns
        -------
        (n, 3, size, size) input; (n, size, size) labels; (n,) distance behind the transitional slice in cm, or NaN;
        (n, size, size) distance from the joint in mm
        """
        plan, g = self._plan, self.generator
        chosen = torch.multinomial(self._weight, plan.batch, replacement=True, generator=g)
        image, label, distance, moved_cm = self._draw(chosen)
        image = self._with_lesions(image, label, distance, self._stir[chosen])
        image, label, distance = self._mirror(image, label, distance)
        bend = self._bend[chosen][:, None, None, None]
        image = random_curve(g, image, 1.0) * bend + image * (1 - bend)
        image = random_gain(g, image, 0.2, 0.15)
        image = sometimes(g, 0.2, blur(image), image)
        return random_noise(g, image, 0.08), label, self._behind_cm[chosen] + moved_cm, distance[:, 0]

    def _draw(self, chosen: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Return three slices, label and distance about each chosen slice, some of them oblique to the scanned plane.

        The last item, (n,), is how far behind the chosen slice the bones of the oblique slice are, cm.
        """
        plan, g = self._plan, self.generator
        grid = random_grid(g, plan.batch, (plan.canvas, plan.canvas), plan.patch, GEOMETRY)
        # A step of two slices imitates scanners with wide spacing, a step of zero those with narrow spacing.
        step = torch.multinomial(torch.tensor([0.1, 0.75, 0.15], device=g.device), plan.batch, True, generator=g)
        tilted = (uniform(g, 0, 1, plan.batch) < plan.tilt_share)[:, None]
        slope = torch.tan(torch.deg2rad(uniform(g, -plan.tilt, plan.tilt, plan.batch, 2))) * tilted
        drawn, moved_cm = [], []
        for n, position in enumerate(chosen.tolist()):
            stack, k = self._where[position]
            # The grid's coordinates are -1..1 over the canvas. They become mm from its middle, then slices.
            out_of_plane = (
                (grid[n] * slope[n]).sum(-1) * (plan.canvas - 1) / 2 * BONE_PIXEL_MM / self._spacing_mm[stack]
            )
            planes = [k + out_of_plane + d * step[n] for d in (-1, 0, 1)]
            signal, label, distance = self._stacks[stack]
            drawn.append(
                (
                    _oblique(signal, grid[n], planes),
                    _oblique(label, grid[n], planes[1:2], nearest=True),
                    _oblique(distance, grid[n], planes[1:2]),
                )
            )
            bone = drawn[-1][1][0] > 0
            moved_cm.append((out_of_plane * bone).sum() / bone.sum().clamp(min=1) * self._spacing_mm[stack] / 10)
        image, label, distance = (torch.stack(part) for part in zip(*drawn, strict=True))
        return image, label[:, 0].round().long(), distance, torch.stack(moved_cm)

    def _with_lesions(self, image: Tensor, label: Tensor, distance: Tensor, stir: Tensor) -> Tensor:
        """Return the batch with edema simulated in sacrum and ilia of STIR, so that bright marrow is still bone."""
        bone = ((label >= 1) & (label <= 3))[:, None].float()
        lesions, massive = self._plan.lesion_share, self._plan.massive_share
        brighter, _ = add_lesions(self.generator, image, bone * 0, bone, distance, BONE_PIXEL_MM, lesions, massive)
        return torch.where(stir[:, None, None, None], brighter, image)

    def _mirror(self, image: Tensor, label: Tensor, distance: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return the batch with half of it mirrored; right and left ilium change names there."""
        flip = uniform(self.generator, 0, 1, len(image)) < 0.5
        swapped = label.clone()
        swapped[label == AnatomyLabel.RIGHT_ILIUM] = int(AnatomyLabel.LEFT_ILIUM)
        swapped[label == AnatomyLabel.LEFT_ILIUM] = int(AnatomyLabel.RIGHT_ILIUM)
        return (
            torch.where(flip[:, None, None, None], image.flip(-1), image),
            torch.where(flip[:, None, None], swapped.flip(-1), label),
            torch.where(flip[:, None, None, None], distance.flip(-1), distance),
        )


def _oblique(stack: Tensor, grid: Tensor, planes: list[Tensor], *, nearest: bool = False) -> Tensor:
    """Return (planes, size, size) float32 of one (slices, rows, columns) stack on surfaces through it.

    `grid` (size, size, 2) is (column, row) from -1 to 1; each plane (size, size) is a slice index. Outside the stack
    its border repeats.
    """
    index = torch.stack(planes).clamp(0, len(stack) - 1)
    # Sample only the slices between the planes: most planes are hardly tilted.
    first, last = int(index.min()), int(index.max().ceil())
    along = 2 * (index - first) / max(last - first, 1) - 1
    points = torch.cat([grid.expand(len(planes), -1, -1, -1), along[..., None]], dim=-1)
    seen = stack[first : last + 1].float()[None, None]
    mode = "nearest" if nearest else "bilinear"
    found = functional.grid_sample(seen, points[None], mode=mode, padding_mode="border", align_corners=True)
    return found[0, 0]


def _fit(stack: NDArray[Any], size: int, fill: float) -> NDArray[Any]:
    """Return (slices, size, size): `stack` cut or padded about its middle."""
    for axis in (1, 2):
        over = stack.shape[axis] - size
        if over > 0:
            stack = np.take(stack, range(over // 2, over // 2 + size), axis=axis)
        elif over < 0:
            pad = [(0, 0)] * 3
            pad[axis] = (-over // 2, -over - (-over // 2))
            stack = np.pad(stack, pad, constant_values=fill)
    return np.ascontiguousarray(stack)


def bone_loss(output: Tensor, label: Tensor, behind_cm: Tensor, distance_mm: Tensor, place_weight: float) -> Tensor:
    """Return cross-entropy plus soft Dice over the classes, plus the error of the slice's place.

    The place is the mean output over the bones. Where the label is SOME_BONE, any bone is right for the cross-entropy,
    and the Dice leaves the pixel out.
    """
    logits, place = output[:, :BONE_CLASSES], output[:, BONE_CLASSES]
    some = label == SOME_BONE
    known = ((label != IGNORE) & ~some).float()
    named = label.clamp(max=BONE_CLASSES - 1)
    log_probability = torch.log_softmax(logits, dim=1)
    at_label = log_probability.gather(1, named[:, None])[:, 0]
    at_label = torch.where(some, log_probability[:, 1:].logsumexp(dim=1), at_label)
    weight = torch.where(distance_mm <= NEAR_JOINT_MM, NEAR_JOINT_WEIGHT, 1.0) * (label != IGNORE)
    entropy = -(at_label * weight).sum() / weight.sum().clamp(min=1)

    def of_each_class(values: Tensor) -> Tensor:
        return values.new_zeros(BONE_CLASSES).index_add(0, named.flatten(), (values * known).flatten())

    called = (log_probability.exp() * known[:, None]).sum((0, 2, 3))
    dice = 1 - (2 * of_each_class(at_label.exp()) + 1) / (called + of_each_class(known) + 1)
    bone = (((label >= 1) & (label <= 3)) | (label == IGNORE)).float()
    found_cm = (place * bone).sum((1, 2)) / bone.sum((1, 2)).clamp(min=1)
    known_place = (bone.sum((1, 2)) > 0) & torch.isfinite(behind_cm)
    target = torch.nan_to_num(behind_cm).clamp(-LARGEST_BEHIND_CM, LARGEST_BEHIND_CM)
    error = functional.smooth_l1_loss(found_cm, target, reduction="none", beta=0.3)
    return entropy + dice.mean() + place_weight * (error * known_place).sum() / known_place.sum().clamp(min=1)


def fit_shapes(
    samples: BoneSamples,
    plan: BonePlan,
    seed: int,
    checkpoint: Path | None = None,
    progress: Progress | None = None,
) -> nn.Module:
    """Train the network that all others start from, on SHAPE_KINDS."""
    torch.manual_seed(seed)
    chosen = [i for i, kind in enumerate(samples.kind) if kind in SHAPE_KINDS]
    batches = BoneBatches(samples, chosen, plan, seed)
    return _fit_network(build_network(BONE_NETWORK), batches, plan.shapes_schedule, checkpoint, progress)


def fit_bones(
    samples: BoneSamples,
    without: str | None,
    plan: BonePlan,
    seed: int,
    start: nn.Module,
    checkpoint: Path | None = None,
    progress: Progress | None = None,
) -> nn.Module:
    """Train one network on all people but `without`, from the weights of `start` (see `fit_shapes`)."""
    chosen = [i for i, person in enumerate(samples.person) if person != without]
    return _fit_network(deepcopy(start), BoneBatches(samples, chosen, plan, seed), plan.schedule, checkpoint, progress)


def _fit_network(
    network: nn.Module,
    batches: BoneBatches,
    schedule: Schedule,
    checkpoint: Path | None,
    progress: Progress | None,
) -> nn.Module:
    network.train()

    def next_loss(forward: Forward) -> Tensor:
        image, label, behind_cm, distance = batches.next()
        return bone_loss(forward(image), label, behind_cm, distance, batches.place_weight)

    return train_steps(network, next_loss, batches.generator, schedule, checkpoint, progress)
