"""`study.npz`: the data of a scored study that a later comparison needs, so that nothing is segmented twice.

It holds signal, bones, edema and geometry. To notice swapped visits and other people it also holds the acquisition
time and four digits of a hash of the patient identifier. It holds no name, no birth date, no text of the header.
"""

from __future__ import annotations

import io
import json
import zipfile
import zlib
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from sparcc_pipeline.app.study.files import SCORE_FILE, write_bytes
from sparcc_pipeline.app.study.images import Study
from sparcc_pipeline.app.study.score import Scored, Segmented
from sparcc_pipeline.errors import InputError
from sparcc_pipeline.imaging.quality import QualityFlag
from sparcc_pipeline.message import Message, from_plain, to_plain
from sparcc_pipeline.sparcc.joint import find_joints
from sparcc_pipeline.sparcc.slices import SLICES_SCORED, SixSlices
from sparcc_pipeline.sparcc.uncertainty import Calibration
from sparcc_pipeline.volume import Geometry, SeriesRef, StorageOrder, TissueMaps, Volume

STUDY_FILE: Final = "study.npz"
FORMAT: Final = "sparcc-study/2"

FLUIDS: Final = ("csf", "disc")
"""Reference tissues that results of earlier versions lack."""

_LARGEST_UINT16: Final = 65535


def save_study(scored: Scored, file: Path) -> None:
    """Write the file that `load_study` reads.

    Raises
    ------
    OutputError : the file cannot be written
    """
    study, tissue = scored.study, scored.tissue
    arrays: dict[str, NDArray[Any]] = {
        "signal": _compact(study.stir.signal),
        "anatomy": tissue.anatomy,
        "edema_probability": tissue.edema_probability,
        "vessel": np.packbits(tissue.vessel),
        "ligamentous": tissue.ligamentous,
        **{name: np.packbits(region) for name in FLUIDS if (region := getattr(tissue, name)) is not None},
    }
    if tissue.marrow_at_height is not None:
        arrays["marrow_at_height"] = tissue.marrow_at_height
    facts = {
        "format": FORMAT,
        "geometry": asdict(study.stir.geometry),
        "series": asdict(study.stir.series) | {"warnings": [to_plain(each) for each in study.stir.series.warnings]},
        "storage": asdict(study.stir.storage),
        "files": study.files,
        "edema_threshold": tissue.edema_threshold,
        "normal_marrow": tissue.normal_marrow,
        "bones_from": tissue.bones_from,
        "bones_certainty": tissue.bones_certainty,
        "calibration": None if scored.calibration is None else asdict(scored.calibration),
        "model": dict(scored.model),
        "quality": [asdict(flag) | {"words": to_plain(flag.words)} for flag in scored.quality],
    }
    write_bytes(file, _npz(arrays | {"facts": np.frombuffer(json.dumps(facts).encode(), dtype=np.uint8)}))


def load_study(folder: Path) -> tuple[Segmented, SixSlices]:
    """Return the study of a finished score folder, and the six slices that were scored.

    Raises
    ------
    InputError : the folder holds no score, one without `study.npz`, or a damaged one
    """
    try:
        score = json.loads((folder / SCORE_FILE).read_text(encoding="utf-8"))
        with (folder / STUDY_FILE).open("rb") as file, np.load(file, allow_pickle=False) as stored:
            segmented = _segmented({name: stored[name] for name in stored.files})
        six = SixSlices(int(score["slices"][0]["slice_index"]), str(score["chosen_by"]))
        if len(score["slices"]) != SLICES_SCORED:
            raise ValueError("not six slices")
    except FileNotFoundError as error:
        raise InputError(
            f"expected a finished score with {SCORE_FILE} and {STUDY_FILE}, found a folder without "
            f"{Path(error.filename).name}; score the study again, or give the study itself"
        ) from error
    except (OSError, ValueError, KeyError, IndexError, TypeError, zipfile.BadZipFile, zlib.error, EOFError) as error:
        raise InputError(
            f"expected a finished score that can be read, found a damaged {SCORE_FILE} or {STUDY_FILE}; "
            "score the study again, or give the study itself"
        ) from error
    return segmented, six


def person_of(folder: Path) -> str | None:
    """Return the fingerprint of the patient identifier (`volume.SeriesRef.person`) of a finished score.

    None if the folder has none or it cannot be read; then the person is not known.
    """
    try:
        with (folder / STUDY_FILE).open("rb") as file, np.load(file, allow_pickle=False) as stored:
            person = json.loads(stored["facts"].tobytes().decode())["series"]["person"]
    except (OSError, ValueError, KeyError, TypeError, zipfile.BadZipFile, zlib.error, EOFError):
        return None
    return None if person is None else str(person)


def series_of(folder: Path) -> SeriesRef | None:
    """Return the series of a finished score with its day and its facts; None if the folder has none or is damaged."""
    try:
        with (folder / STUDY_FILE).open("rb") as file, np.load(file, allow_pickle=False) as stored:
            series = json.loads(stored["facts"].tobytes().decode())["series"]
        return SeriesRef(None, None, facts=dict(series["facts"]), acquired=series["acquired"])
    except (OSError, ValueError, KeyError, TypeError, zipfile.BadZipFile, zlib.error, EOFError):
        return None


def is_score_folder(source: Path) -> bool:
    """Return whether `source` is a folder of results rather than a study."""
    return source.is_dir() and (source / SCORE_FILE).is_file()


def _segmented(stored: dict[str, NDArray[Any]]) -> Segmented:
    facts = json.loads(stored["facts"].tobytes().decode())
    if facts["format"] != FORMAT:
        raise ValueError(facts["format"])
    geometry = Geometry(
        **{name: _as_tuples(value) for name, value in facts["geometry"].items()},
    )
    warnings = from_plain(facts["series"].pop("warnings"))
    series = SeriesRef(
        **{n: v if n == "facts" else _as_tuples(v) for n, v in facts["series"].items()}, warnings=warnings
    )
    storage = StorageOrder(**{name: _as_tuples(value) for name, value in facts["storage"].items()})

    def region(name: str) -> NDArray[np.bool_]:
        bits = np.unpackbits(stored[name], count=int(np.prod(geometry.shape)))
        return bits.reshape(geometry.shape).astype(bool)

    tissue = TissueMaps(
        geometry=geometry,
        anatomy=stored["anatomy"],
        edema_probability=stored["edema_probability"],
        edema_threshold=float(facts["edema_threshold"]),
        vessel=region("vessel"),
        ligamentous=stored["ligamentous"],
        normal_marrow=facts["normal_marrow"],
        bones_from=_as_tuples(facts["bones_from"]),
        bones_certainty=facts.get("bones_certainty"),
        csf=region("csf") if "csf" in stored else None,
        disc=region("disc") if "disc" in stored else None,
        marrow_at_height=stored.get("marrow_at_height"),
    )
    study = Study(
        Volume(stored["signal"], geometry, series, storage),
        files=int(facts["files"]),
        no_t1=Message("a finished score keeps no T1"),
    )
    stored_calibration = facts["calibration"]
    calibration = None if stored_calibration is None else Calibration.from_json(stored_calibration)
    # Results of earlier versions keep no flags.
    flags = [QualityFlag(**flag | {"words": from_plain(flag["words"])}) for flag in facts.get("quality", ())]
    return Segmented(
        study, tissue, find_joints(tissue.anatomy, tissue.geometry), facts["model"], calibration, tuple(flags)
    )


def _compact(signal: NDArray[np.float32]) -> NDArray[Any]:
    """Return the signal as unsigned 16-bit numbers if that loses nothing."""
    whole = signal.astype(np.uint16) if signal.min() >= 0 and signal.max() <= _LARGEST_UINT16 else None
    return whole if whole is not None and np.array_equal(whole, signal) else signal


def _npz(arrays: dict[str, NDArray[Any]]) -> bytes:
    """Return a compressed `.npz`, at a level that takes a tenth of a second instead of a whole one."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        for name, array in arrays.items():
            entry = zipfile.ZipInfo(f"{name}.npy")  # dated 1980: the same study gives the same bytes
            member = io.BytesIO()
            np.lib.format.write_array(member, np.ascontiguousarray(array), allow_pickle=False)
            # Each entry needs its own level; that of the archive is not used.
            archive.writestr(entry, member.getbuffer(), zipfile.ZIP_DEFLATED, compresslevel=1)
    return content.getvalue()


def _as_tuples(value: Any) -> Any:
    return tuple(_as_tuples(each) for each in value) if isinstance(value, list) else value
