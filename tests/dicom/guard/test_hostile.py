"""Files that ended version 0.1: each ends in a sentence, or in a study that is read without it."""

from __future__ import annotations

import resource
import shutil
from pathlib import Path

import numpy as np
import pydicom
import pytest

from sparcc_pipeline.dicom.deidentify.incoming import content_digest, read_incoming
from sparcc_pipeline.dicom.guard.child import run_guarded
from sparcc_pipeline.dicom.guard.sizes import declared_in_stream, require_declared_size
from sparcc_pipeline.dicom.input.discover import discover
from sparcc_pipeline.dicom.input.pixels import stored_values
from sparcc_pipeline.dicom.input.studies import find_studies
from sparcc_pipeline.errors import FileFaultError, UnreadablePixelsError

from ..hostile import HOSTILE, JPEG_2000, JPEG_LS, LOSSLESS, RLE, compress

UNDECODABLE = ("corrupt_rle", "abort_lossless", "large_j2k")


@pytest.fixture
def image(series: Path) -> Path:
    return sorted(series.iterdir())[0]


@pytest.mark.parametrize("name", HOSTILE)
def test_no_file_ends_the_program_or_fills_its_memory(image: Path, name: str) -> None:
    HOSTILE[name](image)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

    discovery = discover([image])
    finder = find_studies([image])
    assert len(discovery.series) + len(discovery.damaged) == 1 and sum(1 for _ in finder.studies()) == 1
    if name in UNDECODABLE:
        with pytest.raises(UnreadablePixelsError, match="expected complete pixels"):
            stored_values(image, None)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - peak < 400_000


@pytest.mark.parametrize("name", HOSTILE)
def test_intake_reads_or_refuses_every_file(image: Path, name: str) -> None:
    HOSTILE[name](image)
    incoming = run_guarded(read_incoming, image)
    assert (incoming is not None) == (name in (*UNDECODABLE, "bad_class_vr"))
    if incoming is None:
        return
    if name == "abort_lossless":
        with pytest.raises(FileFaultError):
            run_guarded(content_digest, image, incoming, b"key")
    else:
        assert len(run_guarded(content_digest, image, incoming, b"key")) == 64


@pytest.mark.parametrize("syntax", [JPEG_2000, JPEG_LS, LOSSLESS, RLE])
def test_sound_streams_are_decoded_as_before(image: Path, tmp_path: Path, syntax: int) -> None:
    expected = pydicom.dcmread(image).pixel_array
    packed = Path(shutil.copy(image, tmp_path / "packed.dcm"))
    compress(packed, syntax)

    require_declared_size(pydicom.dcmread(packed))
    np.testing.assert_array_equal(stored_values(packed, None), expected)


def test_a_stream_states_its_size() -> None:
    assert declared_in_stream(b"\xff\x4f\xff\x51" + bytes(4) + b"\0\0\0\x09\0\0\0\x07" + bytes(8)) == (7, 9)
    assert declared_in_stream(b"\xff\xd8\xff\xe0\0\x04ab\xff\xc3\0\x0b\x10\0\x07\0\x09\x01") == (7, 9)
    assert declared_in_stream(b"\xff\xd8\xff\xf7\0\x0b\x10\0\x07\0\x09\x01") == (7, 9)
    assert declared_in_stream(b"no stream at all") is None
    assert declared_in_stream(b"\xff\xd8\xff\xe0") is None
