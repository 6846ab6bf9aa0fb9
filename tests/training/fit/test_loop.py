"""Training goes on where it was stopped, to the same weights."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from sparcc_pipeline.training.fit.loop import CHECKPOINT_STEPS, Forward, Schedule, train_steps

STEPS = 2 * CHECKPOINT_STEPS


class Stopped(Exception):
    pass


def fit(checkpoint: Path | None, stop_after: int | None = None) -> tuple[dict[str, Tensor], int]:
    """Weights of a small regression after STEPS steps, and how many steps this call took."""
    torch.manual_seed(1)
    network = nn.Conv2d(1, 1, 3)
    generator = torch.Generator().manual_seed(7)
    taken = 0

    def next_loss(forward: Forward) -> Tensor:
        nonlocal taken
        if taken == stop_after:
            raise Stopped
        taken += 1
        image = torch.randn((2, 1, 8, 8), generator=generator)
        loss: Tensor = (forward(image) - image[:, :, 1:-1, 1:-1]).square().mean()
        return loss

    trained = train_steps(network, next_loss, generator, Schedule(STEPS, 1e-2), checkpoint, None)
    return trained.state_dict(), taken


def test_a_stopped_training_ends_with_the_same_weights(tmp_path: Path) -> None:
    checkpoint = tmp_path / "network.checkpoint"
    whole, _ = fit(None)

    with pytest.raises(Stopped):
        fit(checkpoint, stop_after=CHECKPOINT_STEPS + 30)
    resumed, steps = fit(checkpoint)

    assert steps == STEPS - CHECKPOINT_STEPS
    assert all(torch.equal(resumed[name], whole[name]) for name in whole)


def test_progress_ends_with_the_last_step() -> None:
    reported: list[tuple[int, int]] = []
    torch.manual_seed(1)
    network = nn.Conv2d(1, 1, 1)

    train_steps(
        network,
        lambda n: n(torch.ones((1, 1, 2, 2))).square().mean(),
        torch.Generator(),
        Schedule(25, 1e-2),
        None,
        lambda step, steps, loss: reported.append((step, steps)),
    )

    assert reported == [(10, 25), (20, 25), (25, 25)]


def test_batch_normalisation_is_that_of_the_averaged_weights() -> None:
    torch.manual_seed(1)
    network = nn.Sequential(nn.Conv2d(1, 1, 1, bias=False), nn.BatchNorm2d(1))
    generator = torch.Generator().manual_seed(7)

    def next_loss(forward: Forward) -> Tensor:
        return (forward(torch.randn((16, 1, 8, 8), generator=generator) + 3) - 1).square().mean()

    trained = train_steps(network, next_loss, generator, Schedule(20, 0.3), None, None)

    weight = float(next(trained.parameters()).detach())
    assert float(trained[1].running_mean) == pytest.approx(3 * weight, rel=0.02)  # type: ignore[index]
