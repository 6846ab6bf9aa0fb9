"""A training on a site's own studies in a folder: members trained so far are kept, an interrupted one is resumed.

Contents: `train_members`, `network_of`, `Members`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from torch import nn

from sparcc_pipeline.imaging.model.engines import Network, TorchNetwork
from sparcc_pipeline.imaging.model.networks import mean_of
from sparcc_pipeline.training.data.site_samples import SiteStudy, site_samples
from sparcc_pipeline.training.fit.loop import save_atomically
from sparcc_pipeline.training.fit.site import SitePlan, fit_site, training_device

Members = Sequence[nn.Module]
"""The networks of one model; the edema is the mean of their probabilities."""


def network_of(members: Members) -> Network:
    """Return the members as one network."""
    return TorchNetwork(mean_of([each.eval() for each in members]), 2)


def train_members(
    studies: Sequence[SiteStudy],
    people: tuple[Sequence[str], Sequence[str]],
    start: Members,
    inputs: Sequence[str],
    plan: SitePlan,
    seed: int,
    folder: Path,
    report: Callable[[str], None],
) -> Members:
    """Return the trained members; those that `folder` holds already are not trained again.

    Parameters
    ----------
    people : those to learn from, and those by whom the training stops
    inputs : inputs of the network besides the STIR
    """
    used = {name for part in people for name in part}
    samples = site_samples([study for study in studies if study.person in used], inputs)
    report(f"{len(samples.person)} joint-slices of {len(used)} people, on {training_device().type}")
    trained = []
    for number, member in enumerate(start):
        file = folder / f"edema-{number}.pt"
        if file.exists():
            member.load_state_dict(torch.load(file, map_location="cpu", weights_only=True))
            trained.append(member.eval())
            continue

        def on_round(done: int, rounds: int, loss: float, kept: float, network: int = number) -> None:
            report(f"network {network + 1}, round {done} of {rounds}: loss {loss:.3f}, people kept out {kept:.3f}")

        checkpoint = file.with_suffix(".checkpoint")
        fit = fit_site(samples, *people, member, plan, seed + number, checkpoint, on_round)
        save_atomically(fit.network.state_dict(), file)
        checkpoint.unlink(missing_ok=True)
        trained.append(fit.network.eval())
    return trained
