"""Mutated images of every format through the readers of the intake: none ends this process, and each gets an answer.

The gate runs a few of each; the nightly job sets SPARCC_MUTATIONS to 1000.
"""

from __future__ import annotations

import os
import random
import resource
import shutil
import time
from collections import Counter
from pathlib import Path

import pytest

from sparcc_pipeline.dicom.guard.child import SECONDS

from ...soak.mutations import ANSWERS, ANYWHERE, FORMATS, META, mutate, read

COUNT = int(os.environ.get("SPARCC_MUTATIONS", "12"))


@pytest.mark.parametrize("name", FORMATS)
def test_every_mutated_image_gets_an_answer(series: Path, tmp_path: Path, name: str) -> None:
    sound, mutated = tmp_path / "sound.dcm", tmp_path / "mutated.dcm"
    shutil.copy(sorted(series.iterdir())[3], sound)
    FORMATS[name](sound)
    chance, peak = random.Random(f"{name} {COUNT}"), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    found: Counter[str] = Counter()
    longest = 0.0
    for _ in range(COUNT):
        mutated.write_bytes(mutate(sound.read_bytes(), chance, META if name == "file meta" else ANYWHERE))
        begun = time.monotonic()
        found[read(mutated)] += 1
        longest = max(longest, time.monotonic() - begun)

    assert set(found) <= set(ANSWERS), found
    assert longest < SECONDS + 10
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - peak < 400_000


def test_a_sound_image_of_every_format_is_read(series: Path, tmp_path: Path) -> None:
    for name, prepare in FORMATS.items():
        sound = Path(shutil.copy(sorted(series.iterdir())[3], tmp_path / "sound.dcm"))
        prepare(sound)
        assert read(sound) == "read", name
