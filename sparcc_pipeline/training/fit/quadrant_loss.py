"""A loss at the level that is scored: the edema point of each quadrant.

The soft area of a quadrant (pixels whose probability exceeds AT_PROBABILITY, counted softly, in mm2) passes through a
logistic in its logarithm about the smallest area that makes a point. The result is compared with the share of the
readings that give the point.
"""

from __future__ import annotations

from typing import Final

import torch
from torch import Tensor
from torch.nn import functional

from sparcc_pipeline.anatomy import Quadrant
from sparcc_pipeline.imaging.model.normalize import EDEMA_PIXEL_MM
from sparcc_pipeline.sparcc.edema import SMALLEST_EDEMA_MM2

AT_PROBABILITY: Final = 0.3
"""Probability from which edema is called: the threshold of the model."""

SOFTNESS: Final = 0.05
"""A pixel this far above AT_PROBABILITY counts 0.73 of its area (decision of this project)."""

STEEPNESS: Final = 2.0
"""Of the logistic in the logarithm of the area: twice the smallest area has a probability of 0.8."""

SMALLEST_SEEN_MM2: Final = 60.0
"""Quadrants of which a patch shows less do not count."""

READING_CUTS: Final = (0.2, 0.4, 0.6, 0.8)
"""Where the four readings of a soft lesion draw its outline; which reading draws where is random. So the mean of the
readings is nearly the soft lesion."""

_PIXEL_MM2: Final = EDEMA_PIXEL_MM**2


def quadrant_masks(codes: Tensor) -> Tensor:
    """Return (n, 4, size, size) float32 masks in the order of `Quadrant` from (n, 1, size, size) codes."""
    places = torch.arange(1, len(Quadrant) + 1, device=codes.device)[None, :, None, None]
    return (codes.round() == places).float()


def seen_quadrants(masks: Tensor) -> Tensor:
    """Return (n, 4) bool: the quadrants of which the patch shows enough to compare."""
    return masks.sum((2, 3)) * _PIXEL_MM2 >= SMALLEST_SEEN_MM2


def point_share(readings: Tensor, masks: Tensor, cuts: Tensor) -> Tensor:
    """Return (n, 4) share of the readings that give the point of each quadrant.

    `readings` (n, 4, size, size) are 0 to 1; `cuts` (n, 4) is where each reading draws its outline.
    """
    drawn = (readings > cuts[:, :, None, None]).float()
    area = torch.einsum("nrij,nqij->nrq", drawn, masks) * _PIXEL_MM2
    return (area >= SMALLEST_EDEMA_MM2).float().mean(dim=1)


def random_cuts(generator: torch.Generator, count: int) -> Tensor:
    """Return (count, 4) READING_CUTS, in a random order for each patch."""
    order = torch.rand((count, len(READING_CUTS)), generator=generator, device=generator.device).argsort(dim=1)
    return torch.tensor(READING_CUTS, device=generator.device)[order]


def quadrant_loss(probability: Tensor, masks: Tensor, share: Tensor) -> Tensor:
    """Return the mean cross-entropy of the points of all quadrants seen.

    Parameters
    ----------
    probability : (n, 1, size, size) edema
    masks : (n, 4, size, size) quadrants
    share : (n, 4) share of the readings that give the point
    """
    soft = torch.sigmoid((probability - AT_PROBABILITY) / SOFTNESS)
    area = (soft * masks).sum((2, 3)) * _PIXEL_MM2
    logit = STEEPNESS * torch.log((area + 0.1) / SMALLEST_EDEMA_MM2)
    seen = seen_quadrants(masks).float()
    entropy = functional.binary_cross_entropy_with_logits(logit, share, reduction="none")
    return (entropy * seen).sum() / seen.sum().clamp(min=1)
