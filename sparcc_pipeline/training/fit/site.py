"""Train the edema network on a site's own studies: outlines where there are any, else quadrant points as weak labels.

Contents: `SitePlan`, `SiteFit`, `fit_site`. It stops when people kept out of the training no longer gain, resumes from
a checkpoint, and runs on a GPU if there is one.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from sparcc_pipeline.sparcc.joint import QUADRANT_REACH_MM
from sparcc_pipeline.training.data.augment import (
    Geometry2D,
    blur,
    random_gain,
    random_grid,
    random_noise,
    sample,
    sometimes,
)
from sparcc_pipeline.training.data.site_samples import SiteSamples
from sparcc_pipeline.training.fit.edema import edema_loss
from sparcc_pipeline.training.fit.loop import save_atomically
from sparcc_pipeline.training.fit.quadrant_loss import quadrant_loss, quadrant_masks

EMPTY_WEIGHT: Final = 1.0
"""Weight of the pixels of quadrants that no reading gives: none of them is edema, apart from specks."""

OnRound = Callable[[int, int, float, float], None]
"""Called with (round, rounds, loss of the training, loss of the people kept out)."""


@dataclass(frozen=True)
class SitePlan:
    """How the edema network is trained; the numbers are in the model's provenance.

    Parameters
    ----------
    rounds, steps : at most so many rounds of so many steps; after each round the people kept out are measured
    patience : rounds without a gain after which the training stops
    """

    rounds: int = 60
    steps: int = 40
    patience: int = 8
    batch: int = 16
    patch: int = 128
    learning_rate: float = 1e-3
    weight_decay: float = 1e-3
    outline_weight: float = 1.0
    noise: float = 0.1


@dataclass
class SiteFit:
    """The state of a training: the best network so far, and the losses of each round."""

    network: nn.Module
    rounds: int = 0
    losses: list[tuple[float, float]] = field(default_factory=list)
    best: float = math.inf
    waited: int = 0


def training_device() -> torch.device:
    """Return the GPU if there is one, else the processor."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def fit_site(
    samples: SiteSamples,
    train: Sequence[str],
    kept_out: Sequence[str],
    start: nn.Module,
    plan: SitePlan,
    seed: int,
    checkpoint: Path | None = None,
    on_round: OnRound | None = None,
) -> SiteFit:
    """Train from `start` on the people `train`, and stop when `kept_out` no longer gain; return the best network.

    Parameters
    ----------
    checkpoint : file to resume from, written after each round; the caller removes it
    """
    torch.manual_seed(seed)
    device = training_device()
    network = copy.deepcopy(start).to(device)
    batches = _Batches(samples, train, plan, seed)
    optimizer = torch.optim.AdamW(network.parameters(), plan.learning_rate, weight_decay=plan.weight_decay)
    fit = SiteFit(copy.deepcopy(start))
    if checkpoint is not None and checkpoint.exists():
        _resume(checkpoint, fit, network, optimizer, batches.generator)
    while fit.rounds < plan.rounds and fit.waited < plan.patience:
        network.train()
        losses = []
        for _ in range(plan.steps):
            loss = site_loss(network, batches.next().to(device), plan)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            nn.utils.clip_grad_norm_(network.parameters(), 1.0)
            optimizer.step()
            losses.append(float(loss.detach()))
        kept = kept_out_loss(network, samples, kept_out, plan, device)
        fit.rounds += 1
        fit.losses.append((float(np.mean(losses)), kept))
        if kept < fit.best:
            fit.best, fit.waited = kept, 0
            fit.network.load_state_dict({name: value.cpu() for name, value in network.state_dict().items()})
        else:
            fit.waited += 1
        if checkpoint is not None:
            _save(checkpoint, fit, network, optimizer, batches.generator)
        if on_round is not None:
            on_round(fit.rounds, plan.rounds, fit.losses[-1][0], kept)
    fit.network.eval()
    return fit


@dataclass(frozen=True, eq=False)
class _Batch:
    """Input (n, channels, size, size), masks (n, 4, size, size), share (n, 4); all others (n, 1, size, size)."""

    image: Tensor
    masks: Tensor
    share: Tensor
    outline: Tensor
    outline_weight: Tensor
    near: Tensor

    def to(self, device: torch.device) -> _Batch:
        return _Batch(*(part.to(device) for part in vars(self).values()))


class _Batches:
    """Random augmented batches; people are drawn evenly, so that none dominates."""

    def __init__(self, samples: SiteSamples, people: Sequence[str], plan: SitePlan, seed: int) -> None:
        self._plan, self._samples = plan, samples
        self.generator = torch.Generator().manual_seed(seed)
        keep = np.isin(samples.person, [samples.people.index(name) for name in people])
        often = np.bincount(samples.person[keep], minlength=len(samples.people))
        self._weight = torch.from_numpy(np.where(keep, 1.0 / np.maximum(often, 1)[samples.person], 0.0))

    def next(self) -> _Batch:
        plan, g = self._plan, self.generator
        chosen = torch.multinomial(self._weight, plan.batch, replacement=True, generator=g).numpy()
        size = self._samples.images.shape[-1]
        grid = random_grid(g, plan.batch, (size, size), plan.patch, Geometry2D(rotation=15, scale=0.1, shift=10))
        batch = _cut(self._samples, chosen, grid)
        image = random_gain(g, batch.image, 0.1, 0.08)
        image = random_noise(g, sometimes(g, 0.3, blur(image), image), plan.noise)
        return _Batch(image, batch.masks, batch.share, batch.outline, batch.outline_weight, batch.near)


def _cut(samples: SiteSamples, chosen: np.ndarray, grid: Tensor | None) -> _Batch:
    """Return a batch of these samples, on a grid or, without one, as stored."""

    def take(part: np.ndarray, *, nearest: bool = False) -> Tensor:
        stack = torch.from_numpy(part[chosen].astype(np.float32))
        stack = stack if stack.ndim == 4 else stack[:, None]
        return stack if grid is None else sample(stack, grid, nearest=nearest)

    outline = take(samples.outline, nearest=True)
    bone, distance = take(samples.bone), take(samples.distance_mm)
    near = ((bone > 0.5) & (distance <= QUADRANT_REACH_MM + 5)).float()
    share = torch.from_numpy(samples.share[chosen])
    masks = quadrant_masks(take(samples.quadrant, nearest=True)) * torch.isfinite(share)[:, :, None, None]
    outlined = torch.isfinite(outline).float() * near
    return _Batch(take(samples.images), masks, torch.nan_to_num(share), torch.nan_to_num(outline), outlined, near)


def site_loss(network: nn.Module, batch: _Batch, plan: SitePlan) -> Tensor:
    """Return the loss of a batch: quadrant points, pixels of empty quadrants, and outlines where there are any."""
    logit = network(batch.image).float()
    # A slice with an outline needs no weak label.
    weak = batch.masks * (1 - batch.outline_weight.amax(dim=(2, 3), keepdim=True))
    loss = quadrant_loss(torch.sigmoid(logit), weak, batch.share)
    empty = (weak * (batch.share == 0)[:, :, None, None]).sum(dim=1, keepdim=True)
    dark = functional.binary_cross_entropy_with_logits(logit, torch.zeros_like(logit), weight=empty, reduction="sum")
    loss = loss + EMPTY_WEIGHT * dark / empty.sum().clamp(min=1)
    if bool(batch.outline_weight.any()):
        loss = loss + plan.outline_weight * edema_loss(logit, batch.outline, batch.outline_weight, 0.5)
    return loss


@torch.no_grad()
def kept_out_loss(
    network: nn.Module, samples: SiteSamples, people: Sequence[str], plan: SitePlan, device: torch.device
) -> float:
    """Return the mean loss of all samples of these people, without augmentation."""
    network.eval()
    rows = np.flatnonzero(np.isin(samples.person, [samples.people.index(name) for name in people]))
    size, edge = samples.images.shape[-1], (samples.images.shape[-1] - plan.patch) // 2
    inside = slice(edge, size - edge)
    losses, weights = [], []
    for first in range(0, len(rows), plan.batch):
        whole = _cut(samples, rows[first : first + plan.batch], None)
        parts = {name: part[..., inside, inside] if part.ndim == 4 else part for name, part in vars(whole).items()}
        losses.append(float(site_loss(network, _Batch(**parts).to(device), plan)))
        weights.append(len(whole.share))
    return float(np.average(losses, weights=weights))


def _save(path: Path, fit: SiteFit, network: nn.Module, optimizer: torch.optim.Optimizer, g: torch.Generator) -> None:
    state: dict[str, Any] = {
        "network": network.state_dict(),
        "best_network": fit.network.state_dict(),
        "optimizer": optimizer.state_dict(),
        "generator": g.get_state(),
        "rounds": fit.rounds,
        "losses": fit.losses,
        "best": fit.best,
        "waited": fit.waited,
    }
    save_atomically(state, path)


def _resume(path: Path, fit: SiteFit, network: nn.Module, optimizer: torch.optim.Optimizer, g: torch.Generator) -> None:
    state = torch.load(path, map_location="cpu", weights_only=True)
    network.load_state_dict(state["network"])
    fit.network.load_state_dict(state["best_network"])
    optimizer.load_state_dict(state["optimizer"])
    g.set_state(state["generator"])
    fit.rounds, fit.best, fit.waited = state["rounds"], state["best"], state["waited"]
    fit.losses = [(float(a), float(b)) for a, b in state["losses"]]
