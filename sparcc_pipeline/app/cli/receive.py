"""`sparcc receive`: run the DICOM node that receives studies from sites."""

from __future__ import annotations

from sparcc_pipeline.app.cli.nightly import DEFAULT_FILE, SettingsFile


def receive(config: SettingsFile = DEFAULT_FILE) -> None:
    """Run the DICOM receiver until SIGTERM or Ctrl-C.

    It stores what sites send; sparcc nightly scores it.
    """
    from sparcc_pipeline.app.nightly.receive import run_receiver

    run_receiver(config)
