"""A training run: a folder of all networks trained so far, which continues where it was stopped."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Final

import torch
from torch import nn

from sparcc_pipeline.errors import ConfigError, InputError
from sparcc_pipeline.imaging.model.networks import BONE_NETWORK, build_network, mean_of
from sparcc_pipeline.training.data.data_list import data_hashes
from sparcc_pipeline.training.data.dataset import BoneSamples, bone_samples
from sparcc_pipeline.training.data.edema_samples import EdemaSamples, edema_samples
from sparcc_pipeline.training.data.labels import (
    PEOPLE,
    PEOPLE_WITH_LESIONS,
    PERSON_WITHOUT_EDEMA,
    Person,
    load_person,
)
from sparcc_pipeline.training.data.pelves import (
    PEOPLE_WITH_T1_ONLY,
    PEOPLE_WITH_WEAK_BONES,
    load_outlined,
    load_pelvis,
    load_weakly_outlined,
)
from sparcc_pipeline.training.data.phantom import Phantom, make_phantom
from sparcc_pipeline.training.data.phantom_spec import random_spec
from sparcc_pipeline.training.data.simulated_stir import load_bone_maps, simulate_stir
from sparcc_pipeline.training.fit.bones import BonePlan, fit_bones, fit_shapes
from sparcc_pipeline.training.fit.edema import EdemaPlan, GenerousReadings, edema_network, fit_edema
from sparcc_pipeline.training.fit.loop import save_atomically

PEOPLE_FOR_EDEMA: Final = (*PEOPLE_WITH_LESIONS, PERSON_WITHOUT_EDEMA)
"""People with known edema, or known to have none. 2014 has edema that no reader drew, so it is not among them."""

PLAN_FILE: Final = "plan.json"
DATA_FILE: Final = "data.json"

OnStep = Callable[[str, int, int, float], None]
"""Called with (network, step, steps, loss) every ten steps."""


@dataclass(frozen=True)
class TrainingPlan:
    """All that decides the result of a training, besides the data.

    Edema is not learned from phantoms: trainings with them measured worse on people (models/README.md). How much of the
    difference is due to the seed is not known. `simulations` scans are simulated from each label map.
    """

    bones: BonePlan = field(default_factory=BonePlan)
    edema: EdemaPlan = field(default_factory=EdemaPlan)
    edema_members: int = 2
    bone_phantoms: int = 24
    edema_phantoms: int = 0
    simulations: int = 2
    seed: int = 0


class TrainingRun:
    """Networks by the person left out. Each is trained on first use and read from the folder after that.

    Parameters
    ----------
    folder : created if absent; holds networks of one plan
    data : the folder that holds `sij_mri/` and `pelvic_t1/`

    Raises
    ------
    ConfigError : the folder holds networks of another plan or of other data
    InputError : the data is absent
    """

    def __init__(self, folder: Path, data: Path, plan: TrainingPlan, progress: OnStep | None = None) -> None:
        if not (data / "sij_mri").is_dir():
            raise InputError(
                f"expected a folder with sij_mri/ and pelvic_t1/, found neither in {data}; see models/README.md"
            )
        self.folder, self.plan, self._data, self._progress = folder, plan, data, progress
        _keep(folder / PLAN_FILE, json.loads(json.dumps(asdict(plan))), "plan of this version")
        _keep(folder / DATA_FILE, data_hashes(data), "hashes of this data")

    @cached_property
    def people(self) -> dict[str, Person]:
        """All people, by name."""
        return {name: load_person(self._data, name) for name in PEOPLE}

    @cached_property
    def _bone_samples(self) -> BoneSamples:
        data, plan = self._data, self.plan
        names = sorted(path.name.removesuffix("_T1.nii.gz") for path in (data / "pelvic_t1").glob("*_T1.nii.gz"))
        scans = {
            "outlined": [load_outlined(data, name) for name in PEOPLE_WITH_T1_ONLY],
            "weak": [scan for name in PEOPLE_WITH_WEAK_BONES for scan in load_weakly_outlined(data, name)],
            "pelvic": [load_pelvis(data, name) for name in names],
            "simulated": [
                simulate_stir(bones, plan.seed + turn)
                for turn in range(plan.simulations)
                for bones in load_bone_maps(data)
            ],
        }
        return bone_samples(list(self.people.values()), scans, self._phantoms(plan.bone_phantoms))

    @cached_property
    def _edema_samples(self) -> EdemaSamples:
        people = [self.people[name] for name in PEOPLE_FOR_EDEMA]
        return edema_samples(people, self._phantoms(self.plan.edema_phantoms))

    def _phantoms(self, count: int) -> list[Phantom]:
        return [make_phantom(random_spec(self.plan.seed + index)) for index in range(count)]

    def bones(self, without: str | None) -> nn.Module:
        """Return the bone network of all people but `without`."""
        return self._network("bones", BONE_NETWORK, without, self.plan.seed)

    def edema(self, without: str | None) -> nn.Module:
        """Return the mean of the edema networks of all people but `without`."""
        return mean_of(self.edema_members(without))

    def edema_members(self, without: str | None) -> list[nn.Module]:
        """Return the edema networks of all people but `without`, one for each seed."""
        seeds = range(self.plan.seed, self.plan.seed + self.plan.edema_members)
        return [self._network("edema", edema_network(self.plan.edema), without, seed) for seed in seeds]

    def _network(self, kind: str, definition: dict[str, Any], without: str | None, seed: int) -> nn.Module:
        name = f"{kind}-{'all' if without is None else f'without-{without}'}-{seed}"
        path = self.folder / "networks" / f"{name}.pt"
        if not path.exists():
            checkpoint = path.with_name(path.name + ".checkpoint")
            trained = self._fit(kind, name, without, seed, checkpoint)
            if isinstance(trained, GenerousReadings):
                self._keep_spread(trained, without, path)
                trained = trained.network
            save_atomically(trained.state_dict(), path)
            checkpoint.unlink(missing_ok=True)
        network = build_network(definition)
        network.load_state_dict(torch.load(path, map_location="cpu", weights_only=True))
        return network.eval()

    def _keep_spread(self, trained: GenerousReadings, without: str | None, path: Path) -> None:
        """Write the spread of readings that a network learned, in log odds, beside it."""
        people = [n for n, person in enumerate(self._edema_samples.people) if person != without]
        path.parent.mkdir(parents=True, exist_ok=True)
        path.with_suffix(".spread.json").write_text(json.dumps({"reading_sd": trained.spread(people)}) + "\n")

    def _fit(self, kind: str, name: str, without: str | None, seed: int, checkpoint: Path) -> nn.Module:
        def on_step(step: int, steps: int, loss: float) -> None:
            if self._progress is not None:
                self._progress(name, step, steps, loss)

        if kind == "shapes":
            return fit_shapes(self._bone_samples, self.plan.bones, seed, checkpoint=checkpoint, progress=on_step)
        if kind == "bones":
            shapes = self._network("shapes", BONE_NETWORK, None, self.plan.seed)
            return fit_bones(self._bone_samples, without, self.plan.bones, seed, shapes, checkpoint, on_step)
        people = [person for person in self._edema_samples.people if person != without]
        return fit_edema(self._edema_samples, people, self.plan.edema, seed, checkpoint=checkpoint, progress=on_step)


def _keep(path: Path, content: dict[str, Any], what: str) -> None:
    """Write the plan or the data list of a run, or refuse to mix networks of two plans or two data sets."""
    if path.exists():
        if json.loads(path.read_text(encoding="utf-8")) != content:
            raise ConfigError(f"expected {path} to hold the {what}, found another one; choose a new folder for the run")
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
