"""Random geometry, contrast, gain, noise and lesions for batches of patches, in torch on any device.

Every function takes a `torch.Generator`, so that a seed repeats a training.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import torch
from torch import Tensor
from torch.nn import functional as nn

FAINT: Final = (1.15, 1.4)
"""Signal of faint lesions, as a multiple of the marrow they lie in."""


@dataclass(frozen=True)
class Geometry2D:
    """Ranges of the random map of a patch: degrees, relative scale, shift and waviness in pixels."""

    rotation: float = 15.0
    scale: float = 0.2
    stretch: float = 0.1
    shift: float = 20.0
    wave: float = 3.0


def uniform(generator: torch.Generator, low: float, high: float, *shape: int) -> Tensor:
    """Return uniform random numbers on the generator's device."""
    return torch.rand(shape, generator=generator, device=generator.device) * (high - low) + low


def random_grid(
    generator: torch.Generator, count: int, source: tuple[int, int], size: int, ranges: Geometry2D
) -> Tensor:
    """Return (count, size, size, 2) grids for `grid_sample`: rotated, scaled, stretched and shifted patches.

    The patches are about the middle of the source, whose (rows, columns) are `source`.
    """
    angle = torch.deg2rad(uniform(generator, -ranges.rotation, ranges.rotation, count))
    scale = torch.exp(uniform(generator, -ranges.scale, ranges.scale, count))
    stretch = torch.exp(uniform(generator, -ranges.stretch, ranges.stretch, count))
    shift = uniform(generator, -ranges.shift, ranges.shift, count, 2)
    offset = torch.arange(size, device=generator.device) - (size - 1) / 2
    rows, columns = torch.meshgrid(offset, offset, indexing="ij")
    cos, sin = torch.cos(angle)[:, None, None], torch.sin(angle)[:, None, None]
    r = (cos * rows - sin * columns) * (scale * stretch)[:, None, None]
    c = (sin * rows + cos * columns) * (scale / stretch)[:, None, None]
    middle = torch.tensor([(n - 1) / 2 for n in source], device=generator.device)
    centre = middle + shift
    r, c = r + centre[..., 0, None, None], c + centre[..., 1, None, None]
    wave = smooth_field(generator, count, size, 5, channels=2) * ranges.wave
    r, c = r + wave[:, 0], c + wave[:, 1]
    return torch.stack([2 * c / (source[1] - 1) - 1, 2 * r / (source[0] - 1) - 1], dim=-1)


def smooth_field(generator: torch.Generator, count: int, size: int, knots: int, channels: int = 1) -> Tensor:
    """Return a (count, channels, size, size) smooth random field of about unit spread."""
    coarse = torch.randn((count, channels, knots, knots), generator=generator, device=generator.device)
    return nn.interpolate(coarse, size=(size, size), mode="bicubic", align_corners=True)


def sample(image: Tensor, grid: Tensor, *, nearest: bool = False) -> Tensor:
    """Return images (n, channels, rows, columns) sampled at `grid`; outside pixels repeat the border."""
    mode = "nearest" if nearest else "bilinear"
    return nn.grid_sample(image, grid, mode=mode, padding_mode="border", align_corners=True)


def sometimes(generator: torch.Generator, share: float, changed: Tensor, unchanged: Tensor) -> Tensor:
    """Return `changed` for a random `share` of the batch, `unchanged` for the rest."""
    chosen = uniform(generator, 0, 1, len(changed)) < share
    return torch.where(chosen[:, None, None, None], changed, unchanged)


def random_gain(generator: torch.Generator, log_signal: Tensor, smooth: float, overall: float) -> Tensor:
    """Multiply the signal (given as its logarithm) by a smooth random field and by one random factor."""
    count, _, size, _ = log_signal.shape
    field = smooth_field(generator, count, size, 3) * uniform(generator, 0, smooth, count)[:, None, None, None]
    factor = torch.randn((count, 1, 1, 1), generator=generator, device=generator.device) * overall
    return log_signal + field + factor


def random_noise(generator: torch.Generator, image: Tensor, largest: float) -> Tensor:
    """Add white noise of a random strength up to `largest`."""
    strength = uniform(generator, 0, largest, len(image))[:, None, None, None]
    return image + strength * torch.randn(image.shape, generator=generator, device=generator.device)


def blur(image: Tensor) -> Tensor:
    """A small binomial blur of every channel."""
    kernel = torch.tensor([1.0, 2.0, 1.0], device=image.device) / 4
    channels = image.shape[1]
    weight = (kernel[:, None] * kernel[None, :]).expand(channels, 1, 3, 3)
    return nn.conv2d(nn.pad(image, (1, 1, 1, 1), mode="replicate"), weight, groups=channels)


def random_curve(generator: torch.Generator, image: Tensor, strength: float) -> Tensor:
    """Bend the signal by a random smooth curve. The order of tissues may change."""
    count = len(image)
    low, high = image.amin(dim=(1, 2, 3), keepdim=True), image.amax(dim=(1, 2, 3), keepdim=True)
    unit = (image - low) / (high - low + 1e-6)
    bend = torch.zeros_like(unit)
    for order in (1, 2, 3):
        amplitude = torch.randn((count, 1, 1, 1), generator=generator, device=generator.device) * strength / order
        bend = bend + amplitude * torch.sin(torch.pi * order * unit)
    return (unit + bend) * (high - low) + low


def add_lesions(
    generator: torch.Generator,
    log_signal: Tensor,
    target: Tensor,
    bone: Tensor,
    distance_mm: Tensor,
    spacing_mm: float,
    share: float,
    massive_share: float,
    beside_share: float = 0.0,
) -> tuple[Tensor, Tensor]:
    """Brighten a random part of the marrow near the joint and call it edema.

    The lesion is a smooth random field plus closeness to the joint, cut at a random level inside `bone`. It multiplies
    the middle slice and, less strongly, its neighbors. A `massive_share` of the lesions fills most of a bone and is
    brighter. A `beside_share` is on one neighbor alone: it is no edema of the middle slice.

    Parameters
    ----------
    log_signal : (n, 3, size, size) log ratio of three slices
    target : (n, readings, size, size) edema 0..1
    bone, distance_mm : (n, 1, size, size) marrow 0..1, distance from the joint line
    share : of the batch that gets lesions
    """
    count, _, size, _ = log_signal.shape

    def each(low: float, high: float) -> Tensor:
        return uniform(generator, low, high, count)[:, None, None, None]

    fine = smooth_field(generator, count, size, max(int(size * spacing_mm / 7), 4))
    coarse = smooth_field(generator, count, size, max(int(size * spacing_mm / 18), 3))
    massive = each(0, 1) < massive_share
    mix = torch.where(massive, each(0, 0.3), each(0, 1))
    closeness = 3.0 * torch.exp(-distance_mm / torch.where(massive, each(10, 40), each(4, 15)))
    field = mix * fine + (1 - mix) * coarse + closeness
    level = torch.where(massive, each(0.0, 2.0), each(1.6, 4.2))
    raised = torch.sigmoid((field - level) / each(0.05, 0.35)) * bone * (distance_mm > 1.0)
    gain = torch.log(torch.where(massive, each(1.5, 3.5), each(1.25, 2.6)))
    neighbour = torch.where(massive, each(0.6, 1.0), each(0.0, 0.9))
    here, nowhere = torch.ones_like(neighbour), torch.zeros_like(neighbour)
    before = (each(0, 1) < 0.5).float()
    beside = each(0, 1) < beside_share
    alone = torch.cat([before, nowhere, 1 - before], dim=1)
    per_slice = torch.where(beside, alone, torch.cat([neighbour, here, neighbour], dim=1))
    brighter = log_signal + gain * raised * per_slice
    chosen = each(0, 1) < share
    # Readers disagree about the soft rim of a faint lesion, so its target is as soft.
    drawn = torch.where(chosen & ~beside, torch.maximum(target, raised), target)
    return torch.where(chosen, brighter, log_signal), drawn


def add_faint_lesions(
    generator: torch.Generator,
    log_signal: Tensor,
    target: Tensor,
    one_bone: Tensor,
    distance_mm: Tensor,
    share: float,
) -> tuple[Tensor, Tensor]:
    """Brighten a wide part of one bone beside the joint a little, and call it edema.

    Models missed wide iliac edema of 1.15 to 1.4 times normal marrow on people never seen.

    Parameters
    ----------
    log_signal : (n, 3, size, size) log ratio of three slices
    target : (n, readings, size, size) edema 0..1
    one_bone : (n, 1, size, size) marrow 0..1 of the bone that gets the lesion
    distance_mm : (n, 1, size, size) distance from the joint line
    share : of the batch that gets lesions
    """
    count, _, size, _ = log_signal.shape

    def each(low: float, high: float) -> Tensor:
        return uniform(generator, low, high, count)[:, None, None, None]

    closeness = 3.0 * torch.exp(-distance_mm / each(8, 25))
    field = smooth_field(generator, count, size, 5) * each(0.3, 1.0) + closeness
    raised = torch.sigmoid((field - each(0.6, 2.4)) / each(0.1, 0.5)) * one_bone * (distance_mm > 1.0)
    gain, neighbour = torch.log(each(*FAINT)), each(0.3, 1.0)
    per_slice = torch.cat([neighbour, torch.ones_like(neighbour), neighbour], dim=1)
    chosen = each(0, 1) < share
    brighter = torch.where(chosen, log_signal + gain * raised * per_slice, log_signal)
    return brighter, torch.where(chosen, torch.maximum(target, raised), target)


def add_distractors(
    generator: torch.Generator, log_signal: Tensor, distance_mm: Tensor, edge_mm: Tensor, share: float
) -> Tensor:
    """Brighten tissue that is not edema: fluid in the joint, outer cortex (chemical shift), thin vessels in marrow.

    `edge_mm` (n, 1, size, size) is the distance from the outline of the bones. The target does not change.
    """
    count, _, size, _ = log_signal.shape
    patchy = torch.sigmoid(4 * smooth_field(generator, count, size, 5))
    strength = uniform(generator, 0, 0.9, count, 3)
    fluid = patchy * torch.exp(-((distance_mm / 1.2) ** 2))
    cortex = torch.sigmoid(4 * smooth_field(generator, count, size, 5)) * torch.exp(-((edge_mm / 1.5) ** 2))
    wavy = smooth_field(generator, count, size, 6)
    vessel = torch.exp(-((wavy / 0.06) ** 2)) * torch.sigmoid(6 * (smooth_field(generator, count, size, 4) - 0.8))
    added = sum(strength[:, i, None, None, None] * part for i, part in enumerate((fluid, cortex, vessel)))
    return sometimes(generator, share, log_signal + added, log_signal)
