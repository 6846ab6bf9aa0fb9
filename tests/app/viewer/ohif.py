"""OHIF beside a PACS in a real browser: its bundle from npm, a server for it, and a page to drive."""

from __future__ import annotations

import io
import shutil
import subprocess
import tarfile
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from playwright.sync_api import Locator, Page

VERSION = "3.13.2"
"""The version of the npm package @ohif/app that the tests were written with."""

ARGUMENTS = ["--no-sandbox", "--disable-background-networking", "--use-angle=swiftshader", "--in-process-gpu"]
PATIENCE_MS = 90_000
WINDOW = {"width": 1400, "height": 900}
NO_TOUR = "localStorage.setItem('shownTours', JSON.stringify(['basicViewerTour']))"

CONFIGURATION = b"""
window.config = {
  routerBasename: null, extensions: [], modes: [], showStudyList: true, maxNumberOfWebWorkers: 1,
  showLoadingIndicator: true, showWarningMessageForCrossOrigin: false, strictZSpacingForVolumeViewport: true,
  investigationalUseDialog: { option: 'never' }, defaultDataSourceName: 'pacs',
  dataSources: [{
    namespace: '@ohif/extension-default.dataSourcesModule.dicomweb', sourceName: 'pacs',
    configuration: {
      friendlyName: 'PACS', name: 'PACS', wadoUriRoot: '/dicom-web', qidoRoot: '/dicom-web', wadoRoot: '/dicom-web',
      qidoSupportsIncludeField: false, imageRendering: 'wadors', thumbnailRendering: 'wadors',
      enableStudyLazyLoad: true, supportsFuzzyMatching: false, supportsWildcard: true,
      omitQuotationForMultipartRequest: true, bulkDataURI: { enabled: true },
    },
  }],
};
"""
"""Settings of the viewer: one PACS, at the viewer's own address."""


def bundle(cache: Path) -> Path | None:
    """Return the folder of the built viewer, fetched from npm at the first call; None where npm cannot."""
    folder, staged = cache / f"ohif-{VERSION}", cache / f"ohif-{VERSION}.partial"
    if not folder.exists():
        npm = shutil.which("npm")
        if npm is None:
            return None
        cache.mkdir(parents=True, exist_ok=True)
        command = [npm, "pack", f"@ohif/app@{VERSION}", "--pack-destination", str(cache), "--silent"]
        fetched = subprocess.run(command, capture_output=True, text=True, check=False, timeout=900)
        if fetched.returncode != 0:
            return None
        packed = cache / fetched.stdout.split()[-1]
        with tarfile.open(packed) as archive:
            archive.extractall(staged, filter="data")
        staged.rename(folder)
        packed.unlink()
    return folder / "package" / "dist"


class Handler(SimpleHTTPRequestHandler):
    """Answers with files of the viewer, and passes requests below /dicom-web on to the PACS."""

    protocol_version = "HTTP/1.1"

    def __init__(self, *arguments: Any, dist: Path, dicomweb: str) -> None:
        self._dist, self._dicomweb = dist, dicomweb
        super().__init__(*arguments, directory=str(dist))

    def log_message(self, *_: object) -> None:
        """Keep quiet."""

    def do_GET(self) -> None:
        """Answer one request."""
        if self.path.startswith("/dicom-web"):
            self._forward()
        elif self.path.startswith("/app-config.js"):
            self._answer(200, CONFIGURATION, "text/javascript")
        else:
            if not (self._dist / self.path.split("?")[0].lstrip("/")).is_file():
                # Every other path is a page of the one application.
                self.path = "/index.html"
            super().do_GET()

    def _forward(self) -> None:
        request = urllib.request.Request(self._dicomweb + self.path.removeprefix("/dicom-web"))
        request.add_header("Accept", self.headers.get("Accept", "*/*"))
        # The PACS writes this address into its answers.
        request.add_header("Host", self.headers["Host"])
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                self._answer(answer.status, answer.read(), answer.headers["Content-Type"])
        except urllib.error.HTTPError as error:
            self._answer(error.code, error.read(), "text/plain")

    def _answer(self, status: int, content: bytes, kind: str | None) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind or "application/octet-stream")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)


@contextmanager
def served(dist: Path, dicomweb: str) -> Iterator[str]:
    """Serve the viewer, and the PACS below /dicom-web; yield the address."""
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, dist=dist, dicomweb=dicomweb)) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            thread.join()


@dataclass(frozen=True)
class Text:
    """Lines that the viewer wrote over the image, and their box (left, top, right, bottom) in pixels of the page."""

    lines: tuple[str, ...]
    box: tuple[float, float, float, float]

    def overlaps(self, other: Text) -> bool:
        """Return whether both cover one place."""
        return all(self.box[i] < other.box[i + 2] and other.box[i] < self.box[i + 2] for i in (0, 1))


@dataclass(frozen=True)
class Viewer:
    """One page of the viewer with one study, and the folder for its pictures."""

    page: Page
    pictures: Path

    def open(self, address: str, study_uid: str) -> None:
        """Open a study and wait for its first image."""
        self.page.goto(f"{address}/viewer?StudyInstanceUIDs={study_uid}")
        self.page.locator("canvas.cornerstone-canvas").first.wait_for()
        self.page.locator("[data-cy^=study-browser-thumbnail]").first.wait_for()
        self._settle()

    def series(self) -> list[str]:
        """Return what the list of series shows: modality and description."""
        found = self.page.locator("[data-cy^=study-browser-thumbnail]").all_inner_texts()
        return [" ".join(text.split("\n")[:2]) for text in found]

    def show(self, name: str) -> None:
        """Open the series of this name and wait until its picture stands still."""
        self.page.locator("[data-cy^=study-browser-thumbnail]").filter(has_text=name).first.dblclick()
        self._settle()

    def scroll_to(self, place: str) -> None:
        """Turn the wheel until the image of this place is shown."""
        pane = self.page.locator("[data-cy=viewport-pane]").first
        for _ in range(2 * int(place.split("/")[1])):
            if self.slice_shown() == place:
                break
            pane.hover()
            self.page.mouse.wheel(0, 100)
            self.page.wait_for_timeout(300)
        assert self.slice_shown() == place
        self._settle()

    def picture(self, name: str) -> NDArray[np.uint8]:
        """Return (rows, columns, 3) RGB of the viewport, and keep a picture of the whole page."""
        self.page.screenshot(path=self.pictures / f"{name}.png")
        return self._viewport()

    def slice_shown(self) -> str:
        """Return the place of the image in its series, as the viewer writes it: "8/14"."""
        text = self.page.locator("[data-cy=viewport-pane]").first.inner_text()
        return text.split("(")[-1].split(")")[0]

    def texts(self) -> list[Text]:
        """Return the texts over the image."""
        found = []
        for group in self.page.locator("svg.svg-layer g:has(text)").all():
            box = group.bounding_box()
            assert box is not None
            lines = tuple(group.locator("tspan").all_text_contents())
            found.append(Text(lines, (box["x"], box["y"], box["x"] + box["width"], box["y"] + box["height"])))
        return found

    def outlines(self) -> Locator:
        """Return the outlines over the image; a straight line is none."""
        return self.page.locator("svg.svg-layer polyline, svg.svg-layer path")

    def _viewport(self) -> NDArray[np.uint8]:
        content = self.page.locator("[data-cy=viewport-pane]").first.screenshot()
        return np.asarray(Image.open(io.BytesIO(content)).convert("RGB"))

    def _settle(self) -> None:
        """Wait until two pictures, a second apart, are equal."""
        before = None
        for _ in range(60):
            self.page.wait_for_timeout(1000)
            now = self._viewport()
            if before is not None and now.shape == before.shape and np.array_equal(now, before):
                return
            before = now
        raise AssertionError("the picture of the viewer does not stand still")
