"""`sparcc receive`: the DICOM node that sites send to."""

from __future__ import annotations

from sparcc_pipeline.app.cli.nightly import DEFAULT_FILE, SettingsFile


def receive(config: SettingsFile = DEFAULT_FILE) -> None:
    """Run the DICOM receiver until SIGTERM or Ctrl-C; sparcc nightly does the rest."""
    from sparcc_pipeline.app.nightly.receive import run_receiver

    run_receiver(config)
