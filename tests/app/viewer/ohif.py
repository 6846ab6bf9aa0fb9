"""OHIF beside a PACS, in a real browser: a bundle of npm, a server of its own, and one page to drive."""

from __future__ import annotations

import shutil
import subprocess
import tarfile
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

VERSION = "3.13.2"
ARGUMENTS = ["--no-sandbox", "--disable-background-networking", "--use-angle=swiftshader", "--in-process-gpu"]
PATIENCE_MS = 60_000
CONFIGURATION = """
window.config = {
  routerBasename: null, extensions: [], modes: [], showStudyList: true, maxNumberOfWebWorkers: 1,
  showLoadingIndicator: true, showWarningMessageForCrossOrigin: false, strictZSpacingForVolumeViewport: true,
  defaultDataSourceName: 'pacs',
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
"""The settings of the viewer: one PACS, at the viewer's own address, so that no other origin takes part."""


def bundle(cache: Path) -> Path | None:
    """Return the folder of the built viewer, fetched from npm at the first call; None where npm cannot."""
    folder = cache / f"ohif-{VERSION}"
    if not folder.exists():
        npm = shutil.which("npm")
        if npm is None:
            return None
        cache.mkdir(parents=True, exist_ok=True)
        command = [npm, "pack", f"@ohif/app@{VERSION}", "--pack-destination", str(cache), "--silent"]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=600)
        if done.returncode != 0:
            return None
        packed = cache / done.stdout.split()[-1]
        with tarfile.open(packed) as archive:
            archive.extractall(cache / f"{folder.name}.partial", filter="data")
        (cache / f"{folder.name}.partial").rename(folder)
        packed.unlink()
    return folder / "package" / "dist"


@contextmanager
def served(dist: Path, dicomweb: str) -> Iterator[str]:
    """Serve the viewer and, below /dicom-web, the PACS; yield the address."""

    class Handler(SimpleHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def __init__(self, *arguments: Any) -> None:
            super().__init__(*arguments, directory=str(dist))

        def log_message(self, *_: object) -> None:
            """Keep quiet."""

        def do_GET(self) -> None:
            if self.path.startswith("/dicom-web"):
                self._forward()
            elif self.path.startswith("/app-config.js"):
                self._answer(200, CONFIGURATION.encode(), "text/javascript")
            else:
                if not (dist / self.path.split("?")[0].lstrip("/")).is_file():
                    # Every other path is a page of the one application.
                    self.path = "/index.html"
                super().do_GET()

        def _forward(self) -> None:
            request = urllib.request.Request(dicomweb + self.path.removeprefix("/dicom-web"))
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

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            thread.join()
