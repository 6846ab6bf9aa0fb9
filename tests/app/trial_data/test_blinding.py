"""Blinded commands never open an allocation, and no output prescribes a dose."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

import sparcc_pipeline
from sparcc_pipeline.app.study.clock import utc_now
from sparcc_pipeline.app.trial_data import run

from .conftest import Call, Files, inputs, write_csv

PACKAGE = Path(sparcc_pipeline.__file__).parent


def _blinded_bytes(trial: Call, files: Files, protocol: Path, out: Path) -> dict[str, bytes]:
    printed = b""
    for command in ("import", "status", "eligibility"):
        ended = trial(command, *inputs(files), "--protocol", protocol, "--out", out / command)
        assert ended.code == 0, ended.err
        printed += (ended.out.replace(str(out), "OUT") + ended.err).encode()
    return {"printed": printed, **{str(f.relative_to(out)): f.read_bytes() for f in out.rglob("*") if f.is_file()}}


def test_blinded_outputs_do_not_depend_on_the_allocation(
    trial: Call, files: Files, made_protocol: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    moment = utc_now()
    monkeypatch.setattr(run, "utc_now", lambda: moment)
    first = _blinded_bytes(trial, files, made_protocol, tmp_path / "first")
    write_csv(files.allocation, [{"participant": "P001", "arm": "control"}, {"participant": "P002", "arm": "taper"}])
    write_csv(files.dosing, [{"participant": "P002", "visit": "W12", "dose_step": 1}])
    permuted = _blinded_bytes(trial, files, made_protocol, tmp_path / "permuted")
    files.allocation.unlink()
    files.dosing.unlink()
    absent = _blinded_bytes(trial, files, made_protocol, tmp_path / "absent")

    assert len(first) > 20
    assert first == permuted == absent


def test_an_allocation_given_as_data_stops_a_blinded_command(trial: Call, files: Files, tmp_path: Path) -> None:
    ended = trial("import", files.visits, files.allocation, "--out", tmp_path / "out")

    assert ended.code == 2
    assert "reveals the arm in allocation.csv, found 'arm'" in ended.err
    assert not (tmp_path / "out").exists()


def test_only_the_unblinded_modules_can_open_an_allocation() -> None:
    door = "sparcc_pipeline.app.trial_data.unblinded.allocation"
    importers = {
        file.relative_to(PACKAGE).as_posix()
        for file in PACKAGE.rglob("*.py")
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if (isinstance(node, ast.ImportFrom) and node.module == door)
        or (isinstance(node, ast.Import) and door in [alias.name for alias in node.names])
    }

    assert all(name.startswith("app/trial_data/unblinded/") for name in importers), importers
    assert "app/trial_data/unblinded/run.py" in importers


PRESCRIPTION = re.compile(
    r"\b(should|recommend\w*|advis\w*|we suggest)\b"
    r"|\b(reduce|lower|increase|raise|change|stop|halve|double|taper|continue|resume|escalate|withdraw|start|keep|skip"
    r"|switch)\w*\s+(to\s+|the\s+|this\s+|a\s+)*(dose|dosing|drug|tablet|upadacitinib|treatment|medication|step)"
    r"|\bstep (down|up)\b"
    r"|(减量|加量|停药|建议|应当|应该|换药)",
    re.IGNORECASE,
)


@pytest.mark.parametrize(
    "prescribed", ["Reduce the dose", "the dose should be halved", "step down now", "We recommend 15 mg", "建议减量"]
)
def test_the_scan_for_prescriptions_finds_one(prescribed: str) -> None:
    assert PRESCRIPTION.search(prescribed)


def test_no_text_of_the_trial_packages_prescribes_a_dose() -> None:
    for folder in (PACKAGE / "trial", PACKAGE / "app" / "trial_data"):
        modules = list(folder.rglob("*.py"))
        assert modules
        for file in modules:
            nodes = list(ast.walk(ast.parse(file.read_text(encoding="utf-8"))))
            docstrings = {id(node.value) for node in nodes if isinstance(node, ast.Expr)}
            for node in nodes:
                if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docstrings:
                    found = PRESCRIPTION.search(node.value)
                    assert found is None, f"{file.name}, line {node.lineno}: {found}"


def test_no_output_prescribes_a_dose(trial: Call, files: Files, made_protocol: Path, tmp_path: Path) -> None:
    texts = [trial("protocol", "check", made_protocol).out, trial("protocol", "check").out]
    unblinded = ["--allocation", files.allocation, "--dosing", files.dosing]
    for command in ("import", "status", "eligibility", "steps"):
        more = [files.participants, files.visits, *unblinded] if command == "steps" else inputs(files)
        ended = trial(command, *more, "--protocol", made_protocol, "--out", tmp_path / command)
        texts += [ended.out, ended.err]
        texts += [file.read_text(encoding="utf-8") for file in (tmp_path / command).glob("*.[cj]s*")]

    assert len(texts) > 20
    for text in texts:
        assert PRESCRIPTION.search(text) is None, PRESCRIPTION.search(text)
