"""Write readings as DICOM SR, with the header of their study.

Contents: `write_reports`. The store of the page holds no header, so the manifest of the import is read again; its
images must be identical to the images that were read.
"""

from __future__ import annotations

import gzip
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from sparcc_pipeline import __version__
from sparcc_pipeline.app.reader.cases.importing import ManifestRow, read_manifest
from sparcc_pipeline.app.reader.cases.picture_store import STIR_NAME, PictureStore, as_uint16
from sparcc_pipeline.app.study.files import write_bytes
from sparcc_pipeline.app.study.images import Request, read_study
from sparcc_pipeline.app.study.resources import codes_file
from sparcc_pipeline.errors import InputError
from sparcc_pipeline.volume import Volume

if TYPE_CHECKING:
    from sparcc_pipeline.app.reader.readings.locked_visits import LockedVisit

SOFTWARE = "sparcc-pipeline"


def write_reports(visits: Sequence[LockedVisit], store: PictureStore, manifest: Path, folder: Path) -> int:
    """Write a report for every locked reading of the manifest's studies; return their number.

    Raises
    ------
    InputError : the images of a study differ from the images that were read
    OutputError : a file cannot be written
    """
    from sparcc_pipeline.dicom.output.codes import read_codes
    from sparcc_pipeline.dicom.output.result_header import Origin
    from sparcc_pipeline.dicom.output.results import make_reading

    codes, written = read_codes(codes_file().read_text(encoding="utf-8")), 0
    for row in read_manifest(manifest):
        mine = [each for each in visits if (each.participant, each.visit) == (row.participant, row.visit)]
        if not mine:
            continue
        study = read_study(row.study, Request(), with_header=True)
        assert study.header is not None
        _require_same(study.stir, store, mine[0].images, row)
        for each in mine:
            origin = Origin(
                SOFTWARE, __version__, "reading page", __version__, "", "", "", datetime.fromisoformat(each.locked_at)
            )
            asas = each.reading.asas_positive
            report = make_reading(study.header, study.stir, each.score, each.reader, asas, origin, codes)
            name = f"{each.participant}_{each.visit}_{each.reader}_{each.kind}_{each.repeat}.dcm"
            write_bytes(folder / name, report.content)
            written += 1
    return written


def _require_same(stir: Volume, store: PictureStore, images: str, row: ManifestRow) -> None:
    """Raise InputError for a study with other pixels than the readers saw."""
    for index, plane in enumerate(as_uint16(stir.signal)):
        kept = store.image(images, STIR_NAME, index)
        if kept is None or gzip.decompress(kept) != plane.astype("<u2").tobytes():
            raise InputError(
                f"expected the images that were read, found other images in row {row.number} of the manifest; give the "
                "manifest that the cases were imported with"
            )
