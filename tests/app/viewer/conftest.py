"""Two studies with all their results in a PACS, and the viewer beside it, shared by the tests of the module."""

from __future__ import annotations

import os
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from sparcc_pipeline.app.results.send import find_results
from sparcc_pipeline.app.study.resources import codes_file
from sparcc_pipeline.dicom.output.codes import read_codes
from sparcc_pipeline.dicom.output.result_header import Origin
from sparcc_pipeline.dicom.output.results import make_reading

from ..cli.test_pacs_peers import Written, running_orthanc, write_results

if TYPE_CHECKING:
    from .ohif import Viewer

CHROMIUM = Path("/usr/bin/chromium")
CACHE = Path(os.environ.get("XDG_CACHE_HOME", "~/.cache")).expanduser() / "sparcc-pipeline"
PICTURES = Path(__file__).resolve().parents[3] / "build" / "viewer"


@dataclass(frozen=True)
class Shown:
    """A study in the PACS: its results, and the viewer with it."""

    written: Written
    address: str
    viewer: Viewer

    def place_of(self, slice_index: int) -> str:
        """Return the place of a slice as the viewer counts: posterior first, or by frame."""
        series = self.written.scored.study.stir.series
        count = len(series.sop_instance_uids)
        frame = series.frame_numbers[slice_index] if series.frame_numbers else None
        return f"{count - slice_index if frame is None else frame}/{count}"

    def open(self, series: str) -> Viewer:
        """Open the study anew, then a series: the viewer keeps marks of the last report otherwise."""
        self.viewer.open(self.address, str(self.written.scored.study.stir.series.study_uid))
        self.viewer.show(series)
        return self.viewer


@pytest.fixture(scope="module", params=["classic", "enhanced"])
def shown(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shown]:
    """A study of classic or enhanced images."""
    from playwright.sync_api import sync_playwright

    from . import ohif

    if not CHROMIUM.exists():
        pytest.skip(f"no browser at {CHROMIUM} (scripts/peers installs it)")
    dist = ohif.bundle(CACHE)
    if dist is None:
        pytest.skip(f"no viewer: npm did not give @ohif/app {ohif.VERSION}")
    variant, folder = str(request.param), tmp_path_factory.mktemp("viewer")
    (PICTURES / variant).mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        pacs = stack.enter_context(running_orthanc(folder))
        written = write_results(folder, variant, pdf=True)
        for file in (*(folder / "dicom").iterdir(), *find_results(folder / "out")):
            _store(f"http://127.0.0.1:{pacs.http_port}/instances", file.read_bytes())
        _store(f"http://127.0.0.1:{pacs.http_port}/instances", _reading(written))
        address = stack.enter_context(ohif.served(dist, pacs.dicomweb))
        browser = stack.enter_context(sync_playwright()).chromium.launch(
            executable_path=str(CHROMIUM), args=ohif.ARGUMENTS
        )
        context = browser.new_context(viewport=ohif.WINDOW, service_workers="block")
        context.set_default_timeout(ohif.PATIENCE_MS)
        context.add_init_script(ohif.NO_TOUR)
        yield Shown(written, address, ohif.Viewer(context.new_page(), PICTURES / variant))
        browser.close()


def _store(address: str, content: bytes) -> None:
    with urllib.request.urlopen(urllib.request.Request(address, data=content), timeout=30) as answer:
        assert answer.status == 200


def _reading(written: Written) -> bytes:
    """Return the report of a person who gave the same points as the machine."""
    scored, header = written.scored, written.scored.study.header
    assert header is not None
    origin = Origin("sparcc-pipeline", "1.0", "reading page", "1.0", "", "", "", datetime(2026, 3, 2, 9, tzinfo=UTC))
    codes = read_codes(codes_file().read_text(encoding="utf-8"))
    return make_reading(header, scored.study.stir, scored.score, "R1", True, origin, codes).content
