"""The training steps of both networks: one-cycle AdamW, averaged weights, checkpoints to resume from."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

CHECKPOINT_STEPS = 100
"""A killed training loses at most this many steps."""

MOMENTUM = 0.1
"""Momentum of the running statistics of batch normalization in training: the default of torch."""

STATISTICS_BATCHES = 60
"""Number of batches from which the batch normalization of the averaged weights is measured at the end."""

COMPILED_FROM_STEPS = 300
"""Compiling takes as long as some hundred steps, so shorter trainings are faster without it."""

Forward = Callable[[Tensor], Tensor]
"""A network for the loss: images in, float32 out."""

Progress = Callable[[int, int, float], None]
"""Called with (step, steps, loss) every ten steps."""


@dataclass(frozen=True)
class Schedule:
    """Number of steps and learning rate. The weights kept are a running average over the last steps."""

    steps: int
    peak_learning_rate: float
    weight_decay: float = 1e-3
    average: float = 0.995


def train_steps(
    network: nn.Module,
    next_loss: Callable[[Forward], Tensor],
    generator: torch.Generator,
    schedule: Schedule,
    checkpoint: Path | None,
    progress: Progress | None,
) -> nn.Module:
    """Take all steps of `schedule`, or those after `checkpoint` if it exists, and return the averaged network.

    Processors with bfloat16 use it, which halves the time (see `precision`); others compute in float32.

    Parameters
    ----------
    next_loss : draws the next batch and returns the loss of a network on it
    generator : the only source of randomness of `next_loss`; its state is part of the checkpoint
    checkpoint : file to resume from, written every CHECKPOINT_STEPS; the caller removes it
    """
    # Twice as fast on processors. The stubs of torch lack this form of `to`.
    network = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    averaged = torch.optim.swa_utils.AveragedModel(
        network, multi_avg_fn=torch.optim.swa_utils.get_ema_multi_avg_fn(schedule.average), use_buffers=True
    )
    optimizer = torch.optim.AdamW(network.parameters(), schedule.peak_learning_rate, weight_decay=schedule.weight_decay)
    rate = torch.optim.lr_scheduler.OneCycleLR(optimizer, schedule.peak_learning_rate, total_steps=schedule.steps)
    parts: dict[str, Any] = {"network": network, "averaged": averaged, "optimizer": optimizer, "rate": rate}
    first = _resume(checkpoint, parts, generator) if checkpoint is not None and checkpoint.exists() else 0
    forward = _forward(network, compiled=schedule.steps >= COMPILED_FROM_STEPS)
    for step in range(first, schedule.steps):
        loss = next_loss(forward)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        rate.step()
        averaged.update_parameters(network)
        done = step + 1
        if checkpoint is not None and done % CHECKPOINT_STEPS == 0:
            _save(checkpoint, parts, generator, done)
        if progress is not None and (done % 10 == 0 or done == schedule.steps):
            progress(done, schedule.steps, float(loss.detach()))
    trained: nn.Module = averaged.module
    _measure_statistics(trained, next_loss)
    return trained.eval()


def precision() -> str:
    """Return the number format of trainings on this processor: "bfloat16" where it computes in it, else "float32"."""
    return "bfloat16" if torch.cpu._is_avx512_bf16_supported() else "float32"


def _forward(network: nn.Module, *, compiled: bool) -> Forward:
    """Return the network in the precision of this processor, compiled if `compiled` and if a compiler is installed."""
    called = torch.compile(network) if compiled and shutil.which("g++") else network

    def forward(image: Tensor) -> Tensor:
        with torch.autocast("cpu", torch.bfloat16, enabled=precision() == "bfloat16"):
            output: Tensor = called(image.contiguous(memory_format=torch.channels_last))
        return output.float()

    return forward


def _measure_statistics(network: nn.Module, next_loss: Callable[[Forward], Tensor]) -> None:
    """Measure the batch normalization of the averaged weights: the running statistics belong to other weights.

    Without this a short training ends with a network that finds nothing (Dice 0 instead of 0.71 in one fold of the
    bones).
    """
    norms = [part for part in network.modules() if isinstance(part, nn.BatchNorm2d)]
    if not norms:
        return
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # take the plain mean over all batches
    network.train()
    with torch.no_grad():
        for _ in range(STATISTICS_BATCHES):
            next_loss(network)
    for norm in norms:
        norm.momentum = MOMENTUM


def _save(checkpoint: Path, parts: dict[str, Any], generator: torch.Generator, done: int) -> None:
    state = {name: part.state_dict() for name, part in parts.items()}
    save_atomically({**state, "generator": generator.get_state(), "done": done}, checkpoint)


def _resume(checkpoint: Path, parts: dict[str, Any], generator: torch.Generator) -> int:
    state = torch.load(checkpoint, map_location="cpu", weights_only=True)
    for name, part in parts.items():
        part.load_state_dict(state[name])
    generator.set_state(state["generator"])
    return int(state["done"])


def save_atomically(content: Any, path: Path) -> None:
    """Save with `torch.save`, so that a killed program never leaves half a file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.parent / (path.name + ".unfinished")
    torch.save(content, unfinished)
    unfinished.replace(path)
