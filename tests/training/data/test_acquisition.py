"""Random acquisitions: some patches change, none leaves the range that the network knows."""

from __future__ import annotations

import torch

from sparcc_pipeline.training.data.acquisition import LARGEST_LOG, random_acquisition


def patches(count: int = 32, channels: int = 3) -> torch.Tensor:
    """Smooth marrow with a bright square in the middle slice."""
    image = torch.zeros((count, channels, 48, 48))
    image[:, 1, 16:32, 16:32] = 0.7
    return image


def test_nothing_changes_without_a_share() -> None:
    assert torch.equal(random_acquisition(torch.Generator().manual_seed(0), patches(), 0.0), patches())


def test_a_share_of_the_patches_changes_and_a_seed_repeats_it() -> None:
    changed = random_acquisition(torch.Generator().manual_seed(0), patches(), 0.5)

    again = random_acquisition(torch.Generator().manual_seed(0), patches(), 0.5)
    differs = (changed != patches()).flatten(1).any(dim=1).float().mean()
    assert torch.equal(changed, again)
    assert 0.2 < differs < 0.8
    assert torch.isfinite(changed).all() and changed.abs().max() <= LARGEST_LOG


def test_edema_stays_brighter_than_marrow() -> None:
    changed = random_acquisition(torch.Generator().manual_seed(1), patches(64), 1.0)

    lesion, marrow = changed[:, 1, 18:30, 18:30].mean(dim=(1, 2)), changed[:, 1, :10].mean(dim=(1, 2))
    assert (lesion > marrow).float().mean() > 0.95


def test_both_sides_of_one_scan_are_acquired_in_one_way() -> None:
    one = patches(32)

    changed = random_acquisition(torch.Generator().manual_seed(2), torch.cat([one, one], dim=1), 1.0)

    # All but the noise: the mean of a patch hides it.
    first, second = changed[:, :3].mean(dim=(2, 3)), changed[:, 3:].mean(dim=(2, 3))
    assert (first - second).abs().max() < 0.02
