"""The studies of a soak, synthetic and of real size, each with its own identity; and the settings of five sites."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Final

import numpy as np
import pydicom

from sparcc_pipeline.dicom.write import write_mr_series
from sparcc_pipeline.training.data.phantom import make_phantom
from sparcc_pipeline.training.data.phantom_spec import random_spec
from sparcc_pipeline.volume import Volume

SITES: Final = ("S01", "S02", "S03", "S04", "S05")
PHANTOMS: Final = 4
"""Number of different bodies. Noise makes every slice of every study different. Visits share a body."""

SPACING_MM: Final = 3.3
PIXEL_MM: Final = 0.6
PLAN_FILE: Final = "plan.json"


@dataclass(frozen=True)
class SoakStudy:
    """One study that a site sends.

    Parameters
    ----------
    folder : relative to the folder of the soak
    name, patient_id, accession : the identity that must not leave the intake
    pixels : SHA-256 of the pixel data of each instance; the same after de-identification
    """

    number: int
    site: str
    participant: str
    visit: str
    folder: str
    name: str
    patient_id: str
    accession: str
    pixels: tuple[str, ...]


def prepare(out: Path, count: int, print_line: Callable[[str], None]) -> list[SoakStudy]:
    """Make the missing studies; those of an earlier soak stay."""
    plan = out / PLAN_FILE
    stored = json.loads(plan.read_text()) if plan.exists() else []
    known = {each["number"]: SoakStudy(**{**each, "pixels": tuple(each["pixels"])}) for each in stored}
    bodies: dict[int, Volume] = {}
    for number in range(count):
        if number not in known:
            seed = (number // 2) % PHANTOMS
            if seed not in bodies:
                spec = random_spec(seed, slice_spacing_mm=SPACING_MM, pixel_mm=PIXEL_MM)
                bodies[seed] = make_phantom(spec).volume
            known[number] = _make(out, number, bodies[seed])
            plan.write_text(json.dumps([asdict(study) for study in known.values()]))
            print_line(f"study {number + 1} of {count} made")
    return [known[number] for number in range(count)]


def write_settings(out: Path, studies: list[SoakStudy], ports: dict[str, int], database_url: str | None) -> Path:
    """Write `nightly.toml` and the manifest of each site, with its studies by accession number."""
    for site in SITES:
        rows = [f"{s.accession},{s.participant},{s.visit}\n" for s in studies if s.site == site]
        (out / f"{site}.csv").write_text("accession,participant,visit\n" + "".join(rows))
    sites = "".join(
        f'[[site]]\ncode = "{site}"\nname = "Site {site}"\nae_title = "AE_{site}"\nmanifest = "{site}.csv"\n'
        for site in SITES
    )
    database = f'[database]\nurl = "{database_url}"\n' if database_url else ""
    file = out / "nightly.toml"
    file.write_text(
        '[paths]\nidentity_folder = "identity"\nwork_folder = "work"\n'
        f"{database}{sites}"
        f"[receive]\nport = {ports['receiver']}\nidle_seconds = 20.0\n"
        "[intake]\nquiet_minutes = 0.1\n"
        f'[deliver]\npacs = "PACS@127.0.0.1:{ports["pacs"]}"\nfolder = "delivered"\ntimeout_seconds = 10.0\n'
        "[run]\nworkers = 1\nlease_seconds = 60.0\nattempts = 100\nretry_minutes = 0.05\n"
    )
    return file


def pixel_hash(file: Path) -> str:
    """Return the hash of an instance's pixels, whatever its header."""
    return hashlib.sha256(pydicom.dcmread(file).PixelData).hexdigest()


def _make(out: Path, number: int, body: Volume) -> SoakStudy:
    participant, visit = f"P{number // 2:03d}", ("baseline", "W12")[number % 2]
    site = SITES[(number // 2) % len(SITES)]
    name, patient_id, accession = f"SOAKNAME{number // 2:04d}^GIVEN", f"SOAKID{number // 2:04d}", f"SOAKACC{number:04d}"
    noise = np.random.default_rng(number).uniform(0.99, 1.01, body.signal.shape)
    folder = Path("sent") / f"{number:04d}"
    noisy = replace(body, signal=(body.signal * noise).astype(np.float32))
    write_mr_series(noisy, out / folder, style="siemens", patient_id=patient_id, seed=f"soak {number}")
    pixels = []
    for file in sorted((out / folder).iterdir()):
        ds = pydicom.dcmread(file)
        ds.PatientName, ds.AccessionNumber, ds.PatientBirthDate = name, accession, "19870605"
        ds.save_as(file)
        pixels.append(hashlib.sha256(ds.PixelData).hexdigest())
    return SoakStudy(number, site, participant, visit, str(folder), name, patient_id, accession, tuple(pixels))
