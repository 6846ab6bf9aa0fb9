"""`sparcc receive`: the DICOM node alone. It loads neither ledger nor model."""

from __future__ import annotations

import threading
from pathlib import Path

import typer

from sparcc_pipeline.app.nightly.intake.receiving import serve
from sparcc_pipeline.app.nightly.logs import open_log
from sparcc_pipeline.app.nightly.process import now, stopped_by_signals
from sparcc_pipeline.app.nightly.settings import load_settings


def run_receiver(file: Path) -> None:
    """Run the DICOM node until SIGTERM or Ctrl-C.

    Raises
    ------
    ConfigError, OutputError : the node cannot be started
    """
    settings, stop = load_settings(file), threading.Event()
    with stopped_by_signals(stop):
        receiver = serve(settings, now, open_log(settings, now, "receive"))
        try:
            typer.echo(f"Receiving as {settings.receive.ae_title} on {settings.receive.host}, port {receiver.port}")
            stop.wait()
        finally:
            receiver.stop()
