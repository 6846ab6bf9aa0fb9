"""Text burnt into the border of an image: found by tesseract, if the settings ask for it and it is installed."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import numpy as np
import pydicom
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from sparcc_pipeline.dicom.deidentify import border_text
from sparcc_pipeline.dicom.deidentify.border_text import has_border_text
from sparcc_pipeline.dicom.deidentify.image import (
    BORDER_TEXT,
    PIXELS_TEXT,
    Deidentified,
    SetAside,
    Subject,
    deidentify_file,
)
from sparcc_pipeline.errors import ConfigError

SUBJECT = Subject("T", "S01", "P001", "baseline", -400)
installed = pytest.mark.skipif(shutil.which("tesseract") is None, reason="needs tesseract; see scripts/peers")


def picture(text: str = "", at: tuple[int, int] = (4, 4)) -> NDArray[np.uint16]:
    """Return a picture with noise and a bright body, (rows, columns), and a text in it."""
    chance = np.random.default_rng(3)
    rows, columns = np.mgrid[:256, :256]
    body = 700 * np.exp(-((((rows - 128) / 70) ** 2 + ((columns - 128) / 90) ** 2) ** 2))
    light = Image.new("L", (256, 256))
    ImageDraw.Draw(light).text(at, text, fill=255, font=ImageFont.load_default(11))
    burnt = 1500 * (np.asarray(light) / 255)
    return np.asarray(body + chance.normal(60, 12, body.shape).clip(0) + burnt, dtype=np.uint16)


@installed
@pytest.mark.parametrize("at", [(4, 4), (120, 4), (4, 238), (160, 238)])
def test_a_name_in_a_corner_is_found(at: tuple[int, int]) -> None:
    assert has_border_text(picture("WANG LI 1957", at))


@installed
@pytest.mark.parametrize("text", ["ZHANG WEI", "ID 0031077", "Liu Yang M 34Y"])
def test_names_and_numbers_of_persons_are_found(text: str) -> None:
    assert has_border_text(picture(text))


@installed
def test_the_noise_of_the_sample_study_is_no_text() -> None:
    files = sorted(Path("data_samples/phantom_study").rglob("*.dcm"))[::4]
    assert files and not any(has_border_text(pydicom.dcmread(file).pixel_array) for file in files)


@installed
@pytest.mark.parametrize("text", ["", "R", "HF 15"])
def test_marks_of_sides_and_no_text_pass(text: str) -> None:
    assert not has_border_text(picture(text))


@installed
def test_a_text_on_one_frame_of_several_is_found() -> None:
    assert has_border_text(np.stack([picture(), picture("ZHANG WEI"), picture()]))


@pytest.fixture
def image(series: Path) -> Path:
    return sorted(series.iterdir())[0]


@installed
def test_an_image_with_text_is_held_until_a_person_releases_it(image: Path) -> None:
    ds = pydicom.dcmread(image)
    sound = deidentify_file(image, SUBJECT, b"key", read_border=True)
    pixels = picture("WANG LI 1957")
    ds.Rows, ds.Columns = pixels.shape
    ds.PixelData = pixels.tobytes()
    ds.save_as(image)

    assert isinstance(sound, Deidentified) and BORDER_TEXT.encode() in sound.content
    held = deidentify_file(image, SUBJECT, b"key", read_border=True)
    assert isinstance(held, SetAside) and held.burnt_in
    for options in ({"released": True, "read_border": True}, {}):
        passed = deidentify_file(image, SUBJECT, b"key", **options)
        assert isinstance(passed, Deidentified) and PIXELS_TEXT.encode() in passed.content


def test_without_the_program_nothing_passes_unread(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(border_text, "PROGRAM", "no-such-program")
    with pytest.raises(ConfigError, match="tesseract-ocr"):
        has_border_text(picture())


def test_an_image_that_takes_too_long_is_held(monkeypatch: pytest.MonkeyPatch) -> None:
    def slow(*_: object, **__: object) -> None:
        raise subprocess.TimeoutExpired("tesseract", 30)

    monkeypatch.setattr(border_text, "PROGRAM", "true")
    monkeypatch.setattr(subprocess, "run", slow)
    assert has_border_text(picture())


def test_a_program_that_fails_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(border_text, "PROGRAM", "false")
    with pytest.raises(ConfigError, match="exit code 1"):
        has_border_text(picture())
