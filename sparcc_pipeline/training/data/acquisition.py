"""Random acquisitions for batches of patches: contrast, coil shading, ghosts, noise, pixel size, slice spacing.

The stress test (`training/measure/distortions.py`) distorts whole scans. Kinds and strengths here differ from it, so
that the test measures what training did not show.
"""

from __future__ import annotations

from typing import Final

import torch
from torch import Tensor
from torch.nn import functional

from sparcc_pipeline.training.data.augment import blur, uniform

CONTRAST: Final = (0.82, 1.25)
"""Factor on the log ratio of edema to normal marrow, and of dark tissue, each drawn alone. The range is wider than the
few percent that 1.5 and 3 T differ by: echo times differ more (decision of this project)."""

SHADING: Final = 0.35
"""Largest change of the log signal from the middle of a patch to its edge by a coil."""

GHOST: Final = (0.03, 0.15)
"""Strength of a ghost of a bright band, as a share of normal marrow."""

NOISE: Final = (0.04, 0.22)
"""Standard deviation of added Rician noise, as a share of normal marrow."""

PIXEL: Final = (1.1, 1.9)
"""How many times larger the pixels are than those of the patch."""

NEIGHBOUR: Final = 0.5
"""Largest share of the middle slice in its neighbors (narrow spacing) or of its neighbors in it (thick slices)."""

LARGEST_LOG: Final = 3.0


def random_acquisition(generator: torch.Generator, log_signal: Tensor, share: float) -> Tensor:
    """Acquire a share of the patches otherwise: each change with probability one half.

    `log_signal` is (n, 3 or 6, size, size), log ratio to normal marrow; six channels are two joints of one slice, which
    one scanner images alike.
    """
    count = len(log_signal)
    chosen = uniform(generator, 0, 1, count) < share
    changed = log_signal
    for change in (_slices, _contrast, _shading, _ghost, _pixels, _noise):
        applied = chosen & (uniform(generator, 0, 1, count) < 0.5)
        changed = torch.where(applied[:, None, None, None], change(generator, changed), changed)
    return changed.clamp(-LARGEST_LOG, LARGEST_LOG)


def _each(generator: torch.Generator, count: int, low: float, high: float) -> Tensor:
    return uniform(generator, low, high, count)[:, None, None, None]


def _contrast(generator: torch.Generator, image: Tensor) -> Tensor:
    """Scale the log ratio above and below normal marrow."""
    bright, dark = (_each(generator, len(image), *CONTRAST) for _ in range(2))
    return torch.where(image > 0, image * bright, image * dark)


def _shading(generator: torch.Generator, image: Tensor) -> Tensor:
    """Add a ramp in a random direction, steeper on its bright end."""
    count, _, size, _ = image.shape
    line = torch.linspace(-1, 1, size, device=image.device)
    angle = _each(generator, count, 0, 2 * torch.pi)
    along = torch.cos(angle) * line[:, None] + torch.sin(angle) * line[None, :]
    strength = _each(generator, count, 0, SHADING)
    return image + strength * (along + 0.4 * along.square())


def _ghost(generator: torch.Generator, image: Tensor) -> Tensor:
    """Add bright and dark copies of a band, as breathing does along the phase direction."""
    count, _, size, _ = image.shape
    strength = _each(generator, count, *GHOST)
    width, period = _each(generator, count, 4, 14), _each(generator, count, 18, 50)
    start = _each(generator, count, 0, 50)
    place = torch.arange(size, device=image.device).expand(count, 1, 1, size).float()
    wave = torch.cos(2 * torch.pi * (place - start) / period) * torch.exp(-((((place - start) % period) / width) ** 2))
    along_rows = _each(generator, count, 0, 1) < 0.5
    added = strength * torch.where(along_rows, wave, wave.transpose(2, 3))
    return torch.log((image.exp() + added).clamp(min=0.05))


def _noise(generator: torch.Generator, image: Tensor) -> Tensor:
    """Add Rician noise: white, or correlated as in an interpolated image."""
    strength = _each(generator, len(image), *NOISE)
    real, imaginary = (
        torch.randn(image.shape, generator=generator, device=generator.device) * strength for _ in range(2)
    )
    smooth = _each(generator, len(image), 0, 1) < 0.5
    real, imaginary = (torch.where(smooth, 2.0 * blur(part), part) for part in (real, imaginary))
    return torch.log(torch.hypot(image.exp() + real, imaginary).clamp(min=0.05))


def _pixels(generator: torch.Generator, image: Tensor) -> Tensor:
    """Average over larger pixels, one size for the batch, and interpolate back."""
    size = image.shape[-1]
    coarse = max(int(size / float(uniform(generator, *PIXEL, 1))), 8)
    small = functional.interpolate(image.exp(), size=(coarse, coarse), mode="area")
    return torch.log(functional.interpolate(small, size=(size, size), mode="bicubic").clamp(min=0.05))


def _slices(generator: torch.Generator, image: Tensor) -> Tensor:
    """Mix neighboring slices: thick slices mix into the middle one, narrow spacing makes the neighbors like it."""
    signal = image.exp().unflatten(1, (-1, 3))
    mix = uniform(generator, 0, NEIGHBOUR, len(image))[:, None, None, None]
    before, middle, after = signal.unbind(2)
    thick = torch.stack([before, (1 - mix) * middle + mix * (before + after) / 2, after], dim=2)
    narrow = torch.stack([(1 - mix) * before + mix * middle, middle, (1 - mix) * after + mix * middle], dim=2)
    is_thick = (uniform(generator, 0, 1, len(image)) < 0.5)[:, None, None, None, None]
    return torch.log(torch.where(is_thick, thick, narrow).flatten(1, 2))
