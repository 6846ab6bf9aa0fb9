"""Any loss, order or damage of files gives the same score, a warning, or a refusal: never a traceback, never silence.

200 examples each in the gate; `SPARCC_EXAMPLES=2000` in the nightly job.
"""

from __future__ import annotations

import os
import random
import shutil
import struct
import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pydicom
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydicom.dataelem import RawDataElement
from pydicom.tag import Tag

from sparcc_pipeline.app.study.images import Request
from sparcc_pipeline.app.study.score import RejectedStudy, Scored, Unscorable, score_study
from sparcc_pipeline.dicom.input.headers import HEADER_TAGS

from .foreign import TOTAL, placed_segmenter, write_known

EXAMPLES = int(os.environ.get("SPARCC_EXAMPLES", "200"))
SLICES = 14
KEYWORDS = sorted({*HEADER_TAGS, "PixelData"} - {"SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence"})
VRS = ["LO", "UT", "UN", "OB", "DS", "IS", "FD", "US", "SQ", "UI", "PN"]
WORDS = ["", "0", "1", "-1", "7", "1e30", "nan", "abc", "1,5", "\\", "STIR", "SE\\IR", "1.2.3", "20260101", "LOCALIZER"]


@cache
def written() -> Path:
    """The study, written once."""
    folder = Path(tempfile.mkdtemp(prefix="sparcc-damage-"))
    write_known(folder)
    return folder


@cache
def usual_warnings() -> frozenset[str]:
    outcome = score_study(written(), Request(), placed_segmenter, lambda _: None)
    assert isinstance(outcome, Scored) and outcome.score.total == TOTAL
    return frozenset(_warnings(outcome))


def _warnings(outcome: Scored) -> tuple[str, ...]:
    return (*outcome.study.stir.series.warnings, *outcome.score.warnings)


def require_same_or_reported(folder: Path) -> None:
    """Score a folder: the known total, one with a further warning, or a refusal with its sentence."""
    outcome = score_study(folder, Request(), placed_segmenter, lambda _: None)
    if isinstance(outcome, Scored):
        assert outcome.score.total == TOTAL or set(_warnings(outcome)) - usual_warnings()
        return
    assert isinstance(outcome, RejectedStudy | Unscorable)
    assert "expected" in str(outcome.error) and "found" in str(outcome.error)


@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    kept=st.sets(st.integers(0, SLICES - 1), min_size=1)
    | st.integers(1, SLICES).map(lambda n: set(range(n)))
    | st.integers(0, SLICES - 1).map(lambda n: set(range(n, SLICES))),
    doubled=st.sets(st.integers(0, SLICES - 1), max_size=3),
    emptied=st.sets(st.integers(0, SLICES - 1), max_size=2),
    seed=st.integers(0, 2**16),
)
def test_any_selection_of_files(kept: set[int], doubled: set[int], emptied: set[int], seed: int) -> None:
    shuffle = random.Random(seed)
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        for number, path in enumerate(sorted(written().iterdir())):
            for copy in range((number in kept) + (number in kept and number in doubled)):
                below = folder / shuffle.choice(["", "a", "b/c"])
                below.mkdir(parents=True, exist_ok=True)
                target = below / f"{shuffle.randrange(2**32):08x}-{copy}{shuffle.choice(['', '.dcm', '.IMA'])}"
                shutil.copy(path, target)
                if number in emptied:
                    target.write_bytes(b"")
        require_same_or_reported(folder)


def dropped(ds: pydicom.Dataset, keyword: str, word: str, vr: str) -> None:
    ds.pop(keyword, None)


def emptied(ds: pydicom.Dataset, keyword: str, word: str, vr: str) -> None:
    if keyword in ds:
        ds[keyword].value = None


def respelled(ds: pydicom.Dataset, keyword: str, word: str, vr: str) -> None:
    """The same text under another VR."""
    if keyword in ds and keyword != "PixelData":
        value = ds[keyword].value
        text = "\\".join(map(str, value)) if isinstance(value, pydicom.multival.MultiValue) else str(value)
        _put(ds, keyword, vr, text)


def replaced(ds: pydicom.Dataset, keyword: str, word: str, vr: str) -> None:
    if keyword != "PixelData":
        _put(ds, keyword, vr, word)


def _put(ds: pydicom.Dataset, keyword: str, vr: str, text: str) -> None:
    """Put bytes under a VR that may not fit them, as a gateway writes them."""
    content = text.encode() + b" " * (len(text) % 2)
    if vr == "FD":
        content = struct.pack("<d", float(len(text)))
    elif vr == "US":
        content = struct.pack("<H", len(text))
    elif vr == "SQ":
        content = b""
    ds[Tag(keyword)] = RawDataElement(Tag(keyword), vr, len(content), content, 0, False, True)


DAMAGES: list[Callable[[pydicom.Dataset, str, str, str], None]] = [dropped, emptied, respelled, replaced]


@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    damage=st.sampled_from(DAMAGES),
    keyword=st.sampled_from(KEYWORDS),
    word=st.sampled_from(WORDS),
    vr=st.sampled_from(VRS),
    hit=st.sets(st.integers(0, SLICES - 1), min_size=1, max_size=5) | st.just(set(range(SLICES))),
)
def test_any_damage_of_a_header(
    damage: Callable[[pydicom.Dataset, str, str, str], None], keyword: str, word: str, vr: str, hit: set[int]
) -> None:
    if damage is replaced and len(hit) == SLICES:
        hit = set(range(SLICES - 1))  # a plausible value in all files is no damage that can be seen
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        for number, path in enumerate(sorted(written().iterdir())):
            if number not in hit:
                shutil.copy(path, folder / path.name)
                continue
            ds = pydicom.dcmread(path)
            with pydicom.config.disable_value_validation():
                try:
                    damage(ds, keyword, word, vr)
                    ds.save_as(folder / path.name, enforce_file_format=False)
                except Exception:  # pydicom cannot write every damage
                    shutil.copy(path, folder / path.name)
        require_same_or_reported(folder)


@settings(max_examples=max(EXAMPLES // 4, 20), deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_any_damage_of_bytes_before_the_pixels(data: st.DataObject) -> None:
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        paths = sorted(written().iterdir())
        hit = data.draw(st.sets(st.integers(0, SLICES - 1), min_size=1, max_size=3))
        for number, path in enumerate(paths):
            content = bytearray(path.read_bytes())
            if number in hit:
                end = content.rindex(b"\xe0\x7f\x10\x00")
                at = data.draw(st.integers(0, end - 1))
                content[at : at + 2] = data.draw(st.binary(min_size=2, max_size=2))
            (folder / path.name).write_bytes(content)
        require_same_or_reported(folder)


@pytest.fixture(scope="module", autouse=True)
def remove_written() -> Any:
    yield
    shutil.rmtree(written(), ignore_errors=True)
    written.cache_clear()
