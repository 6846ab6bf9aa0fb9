"""The DICOM results before programs of others: validators, second readers and a PACS on loopback.

`scripts/peers` installs them; a test whose program is absent is skipped.
"""

from __future__ import annotations

import io
import json
import os
import re
import shutil
import socket
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pydicom
import pytest
from dicomweb_client.api import DICOMwebClient
from pydicom.dataset import Dataset
from pynetdicom import AE, build_role, evt
from pynetdicom.sop_class import StudyRootQueryRetrieveInformationModelGet  # type: ignore[attr-defined]

from sparcc_pipeline.app.report.outputs import write_outputs
from sparcc_pipeline.app.results.extras import Extras
from sparcc_pipeline.app.results.score_document import score_document
from sparcc_pipeline.app.results.send import run_send
from sparcc_pipeline.app.study.config import load_config
from sparcc_pipeline.app.study.images import Request
from sparcc_pipeline.app.study.provenance import Run
from sparcc_pipeline.app.study.score import Scored, score_study
from sparcc_pipeline.dicom.write import write_mr_series
from sparcc_pipeline.errors import InputError

from ..conftest import KnownSegmenter, make_stir, make_tissue

FALSE_ALARMS = (
    # dciodvfy knows no private coding scheme; it is identified in every object (PS3.3 C.12.1.1.1).
    "Warning - Unrecognized defined term <99SPARCC> for value 1 of attribute <Coding Scheme Designator>",
    "Warning - Unrecognized defined term <2.25.326040219914722305138267925843614417553> for value 1 of attribute "
    "<Coding Scheme UID>",
)
"""Output of dciodvfy for correct objects, word for word."""

KINDS = {
    *("Segmentation", "Comprehensive3DSR", "SCImage", "GrayscaleSoftcopyPresentationState"),
    "EncapsulatedPDF",
}

SR_FALSE_ALARMS = (
    # TID 1411 and TID 1419 are extensible: the outline of a segment on one slice, which OHIF needs, is added to them.
    r"Warning: [\d.]+: /CONTAINER .*/NUM \(118565006,SCT,\"Volume\"\)/SCOORD \(260753009,SCT,\"Source\"\)"
    r"(/IMAGE \(260753009,SCT,\"Source\"\))?: Content Item not in template",
    # TID 1501 is extensible: any evaluation may be there, the validator's table has none (PS3.16, row 12).
    r"Warning: [\d.]+: /CONTAINER .*/CODE \([A-Z0-9-]+,99SPARCC,\"[^\"]*\"\): Content Item not in template",
)
"""Output of DicomSRValidator for correct reports."""

ORTHANC = Path("/usr/sbin/Orthanc")
DICOMWEB_PLUGIN = Path("/usr/share/orthanc/plugins/libOrthancDicomWeb.so")


@dataclass(frozen=True)
class Written:
    """A folder of results with DICOM, and the outcome that it was made from."""

    folder: Path
    scored: Scored

    @property
    def files(self) -> list[Path]:
        return sorted(self.folder.rglob("*.dcm"))


def write_results(folder: Path, variant: str = "classic", *, pdf: bool = False) -> Written:
    """Score the small study of these tests and write all its results, with `pdf` also the report as a document."""
    tissue = make_tissue()
    if variant == "without_edema":
        tissue = replace(tissue, edema_probability=np.zeros_like(tissue.edema_probability))
    enhanced = variant == "enhanced"
    write_mr_series(make_stir(), folder / "dicom", style="ge", patient_id="P7", seed="peers", enhanced=enhanced)
    outcome = score_study(folder / "dicom", Request(), lambda: KnownSegmenter(tissue), lambda _: None, with_header=True)
    assert isinstance(outcome, Scored)
    if variant == "not_evaluable":
        first = replace(outcome.score.joints[0], intense=None, deep=None, depth_mm=None)
        outcome = replace(outcome, score=replace(outcome.score, joints=(first, *outcome.score.joints[1:])))
    further = variant == "further"
    settings = {"dicom_quadrants": variant == "quadrants", "dicom_pdf": pdf or further, "dicom_presentation": further}
    config = load_config().model_copy(update=settings)
    run = Run(config, Request(), datetime(2026, 3, 1, 10, 0, tzinfo=UTC))
    (folder / "out").mkdir()
    write_outputs(outcome, score_document(outcome, run), run, folder / "out", Extras(dicom=True))
    return Written(folder / "out", outcome)


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Written:
    return write_results(tmp_path_factory.mktemp("results"))


def require(program: str) -> str:
    found = shutil.which(program)
    if found is None:
        pytest.skip(f"needs the program {program} (scripts/peers installs it)")
    return found


@pytest.mark.parametrize("variant", ["classic", "enhanced", "quadrants", "further", "without_edema", "not_evaluable"])
def test_dciodvfy_finds_nothing_wrong(variant: str, tmp_path: Path) -> None:
    program = require("dciodvfy")
    written = write_results(tmp_path, variant)

    for file in written.files:
        printed = subprocess.run([program, file], capture_output=True, text=True, check=False).stderr.splitlines()

        assert printed[0] in KINDS
        assert [line for line in printed[1:] if line not in FALSE_ALARMS] == [], file.name


def test_dicomsrvalidator_finds_no_error(tmp_path: Path) -> None:
    program = require("DicomSRValidator")
    # XPath limits of Java 17 that the validator's templates exceed (toolbox S1); and for a quick start.
    limits = " ".join(f"-Djdk.xml.xpath{limit}=0" for limit in ("ExprGrpLimit", "ExprOpLimit", "TotalOpLimit"))
    options = f"{limits} -XX:TieredStopAtLevel=1 -XX:+UseSerialGC"
    folder = write_results(tmp_path, "not_evaluable").folder
    # It takes a minute for all 61 groups: the totals and the five groups of one joint-slice are of every kind.
    report = pydicom.dcmread(folder / "score.sr.dcm")
    del report.ContentSequence[-1].ContentSequence[1 + 5 :]
    report.save_as(folder / "score.sr.dcm")
    running = [
        subprocess.Popen(
            [program, folder / name],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env={**os.environ, "JAVA_TOOL_OPTIONS": options},
        )
        for name in ("score.sr.dcm", "volumes.sr.dcm")
    ]

    for process in running:
        printed, _ = process.communicate(timeout=300)

        assert "IOD validation complete" in printed and "Root Template Validation Complete" in printed
        complaints = [line for line in printed.splitlines() if line.startswith(("Error", "Warning"))]
        assert [c for c in complaints if not any(re.fullmatch(known, c) for known in SR_FALSE_ALARMS)] == []


def test_dsrdump_prints_the_score(results: Written) -> None:
    printed = subprocess.run(
        [require("dsrdump"), results.folder / "score.sr.dcm"], capture_output=True, text=True, check=True
    ).stdout

    assert results.scored.score.total == 4
    assert '"SPARCC sacroiliac inflammation score")="4"' in printed
    assert "PRELIMINARY" in printed and "UNVERIFIED" in printed and "not for diagnostic use" in printed
    assert printed.count('"Measurement Group"') == 1 + 12 * 5
    assert printed.count('"Bone marrow edema")=(52101004,SCT,"Present")') == 2


def test_a_second_reader_finds_the_same_voxels(results: Written, tmp_path: Path) -> None:
    # dcmtk unpacks the frames; it knows nothing of how they were made.
    raw = tmp_path / "frames"
    subprocess.run([require("dcmdump"), "+W", tmp_path, results.folder / "seg.dcm"], capture_output=True, check=True)
    raw = next(tmp_path.glob("*.raw"))
    seg = pydicom.dcmread(results.folder / "seg.dcm", stop_before_pixels=True)
    bits = np.unpackbits(np.frombuffer(raw.read_bytes(), dtype=np.uint8), bitorder="little")
    frames = bits[: seg.NumberOfFrames * seg.Rows * seg.Columns].reshape(-1, seg.Rows, seg.Columns).astype(bool)
    tissue, series = results.scored.tissue, results.scored.study.stir.series
    expected = {1: tissue.anatomy == 1, 2: tissue.anatomy == 2, 3: tissue.anatomy == 3, 4: tissue.edema}

    for frame, groups in zip(frames, seg.PerFrameFunctionalGroupsSequence, strict=True):
        source = groups.DerivationImageSequence[0].SourceImageSequence[0].ReferencedSOPInstanceUID
        segment = groups.SegmentIdentificationSequence[0].ReferencedSegmentNumber
        index = series.sop_instance_uids.index(source)
        np.testing.assert_array_equal(frame, expected[segment][index])


@dataclass(frozen=True)
class Orthanc:
    """A PACS on loopback."""

    dicom_port: int
    http_port: int

    @property
    def dicomweb(self) -> str:
        return f"http://127.0.0.1:{self.http_port}/dicom-web"

    def get(self, path: str) -> object:
        with urllib.request.urlopen(f"http://127.0.0.1:{self.http_port}{path}", timeout=5) as answer:
            return json.load(answer)


def free_port() -> int:
    with socket.socket() as opened:
        opened.bind(("127.0.0.1", 0))
        return int(opened.getsockname()[1])


@pytest.fixture
def orthanc(tmp_path: Path) -> Iterator[Orthanc]:
    """Orthanc with an empty store."""
    with running_orthanc(tmp_path) as pacs:
        yield pacs


@contextmanager
def running_orthanc(tmp_path: Path) -> Iterator[Orthanc]:
    """Orthanc with an empty store below a folder, started by hand (its packages do not start it)."""
    if not ORTHANC.exists() or not DICOMWEB_PLUGIN.exists():
        pytest.skip("needs Orthanc with its DICOMweb plugin (scripts/peers installs them)")
    pacs = Orthanc(free_port(), free_port())
    configuration = {
        "Name": "PACS",
        "DicomAet": "PACS",
        "DicomPort": pacs.dicom_port,
        "HttpPort": pacs.http_port,
        "StorageDirectory": str(tmp_path / "store"),
        "IndexDirectory": str(tmp_path / "store"),
        "RemoteAccessAllowed": False,
        "AuthenticationEnabled": False,
        "DicomAlwaysAllowGet": True,
        "DicomAlwaysAllowFind": True,
        "DicomCheckCalledAet": True,
        "Plugins": [str(DICOMWEB_PLUGIN)],
        "DicomWeb": {"Enable": True, "Root": "/dicom-web/", "EnableWado": False},
    }
    (tmp_path / "orthanc.json").write_text(json.dumps(configuration))
    with (tmp_path / "orthanc.log").open("wb") as log:
        process = subprocess.Popen([ORTHANC, tmp_path / "orthanc.json"], stdout=log, stderr=log)
        try:
            for _ in range(100):
                try:
                    pacs.get("/system")
                    break
                except OSError:
                    assert process.poll() is None, (tmp_path / "orthanc.log").read_text()
                    time.sleep(0.1)
            yield pacs
        finally:
            process.terminate()
            process.wait(timeout=20)


def require_same(file: Path, returned: Dataset) -> None:
    """Every element that was sent came back."""
    sent = pydicom.dcmread(file)
    assert returned.to_json_dict() == sent.to_json_dict(), file.name


def test_orthanc_stores_and_returns_all_by_dimse(
    results: Written, orthanc: Orthanc, capsys: pytest.CaptureFixture[str]
) -> None:
    run_send(results.folder, f"PACS@127.0.0.1:{orthanc.dicom_port}", "SPARCC", 20)

    assert (
        f"10 objects stored by PACS@127.0.0.1:{orthanc.dicom_port}, all 10 found there again" in capsys.readouterr().out
    )
    returned = retrieve_by_c_get(orthanc, results.scored.study.stir.series.study_uid or "")
    assert len(returned) == len(results.files) == 10
    for file in results.files:
        require_same(file, returned[pydicom.dcmread(file, stop_before_pixels=True).SOPInstanceUID])


def retrieve_by_c_get(orthanc: Orthanc, study_uid: str) -> dict[str, Dataset]:
    """The objects of a study by C-GET."""
    found: dict[str, Dataset] = {}

    def keep(event: evt.Event) -> int:
        # The bytes as they came (toolbox N3).
        ds = pydicom.dcmread(io.BytesIO(event.encoded_dataset()), force=True)
        found[str(ds.SOPInstanceUID)] = ds
        return 0

    ae = AE(ae_title="SPARCC")
    ae.add_requested_context(StudyRootQueryRetrieveInformationModelGet)
    classes = ("66.4", "88.34", "7", "11.1")
    roles = []
    for ending in classes:
        uid = f"1.2.840.10008.5.1.4.1.1.{ending}"
        ae.add_requested_context(uid, "1.2.840.10008.1.2.1")
        roles.append(build_role(uid, scp_role=True))
    association = ae.associate(
        "127.0.0.1",
        orthanc.dicom_port,
        ae_title="PACS",
        ext_neg=roles,  # type: ignore[arg-type]
        evt_handlers=[(evt.EVT_C_STORE, keep)],
    )
    assert association.is_established
    query = Dataset()
    query.QueryRetrieveLevel, query.StudyInstanceUID = "STUDY", study_uid
    statuses = [s.Status for s, _ in association.send_c_get(query, StudyRootQueryRetrieveInformationModelGet)]
    association.release()
    assert statuses[-1] == 0
    return found


def test_orthanc_stores_and_returns_all_by_dicomweb(
    results: Written, orthanc: Orthanc, capsys: pytest.CaptureFixture[str]
) -> None:
    run_send(results.folder, orthanc.dicomweb, "SPARCC", 20)

    assert f"10 objects stored by {orthanc.dicomweb}, all 10 found there again" in capsys.readouterr().out
    client = DICOMwebClient(orthanc.dicomweb)
    for file in results.files:
        sent = pydicom.dcmread(file, stop_before_pixels=True)
        uids = (sent.StudyInstanceUID, sent.SeriesInstanceUID, sent.SOPInstanceUID)
        require_same(file, client.retrieve_instance(*uids))
    seg = pydicom.dcmread(results.folder / "seg.dcm")
    # Debian's Orthanc answers for frames in this form only (toolbox N6).
    octets = (("application/octet-stream", "1.2.840.10008.1.2.1"),)
    capture = pydicom.dcmread(results.files[0])
    frames = client.retrieve_instance_frames(
        capture.StudyInstanceUID, capture.SeriesInstanceUID, capture.SOPInstanceUID, [1], media_types=octets
    )
    assert frames[0] == capture.PixelData[: len(frames[0])]
    assert seg.SegmentationType == "BINARY"


def test_sending_again_changes_nothing(results: Written, orthanc: Orthanc) -> None:
    for _ in range(2):
        run_send(results.folder, f"PACS@127.0.0.1:{orthanc.dicom_port}", "SPARCC", 20)

    statistics = orthanc.get("/statistics")
    assert isinstance(statistics, dict) and statistics["CountInstances"] == 10


def test_a_folder_without_dicom_results_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="--dicom"):
        run_send(tmp_path, "PACS@127.0.0.1:4242", "SPARCC", 1)
