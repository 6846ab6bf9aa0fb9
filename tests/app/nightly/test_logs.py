"""Logs of the night: JSON lines that cannot hold identity."""

from __future__ import annotations

import ast
import json
import multiprocessing
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

import sparcc_pipeline
from sparcc_pipeline.app.nightly.logs import FIELDS, REFUSED, open_log
from sparcc_pipeline.app.nightly.settings import NightlySettings
from sparcc_pipeline.app.nightly.settings_tables import Paths, SiteSettings
from sparcc_pipeline.errors import OutputError

NOW = datetime(2026, 11, 25, 23, 59, 59, 500_000, tzinfo=UTC)
NAME = "Zhang^San 张三"


def settings_in(folder: Path) -> NightlySettings:
    site = SiteSettings(code="S01", name="One", manifest=folder / "manifest.csv")
    return NightlySettings(paths=Paths(identity_folder=folder / "identity", work_folder=folder / "work"), site=[site])


def lines(folder: Path) -> list[dict[str, Any]]:
    return [
        json.loads(line) for file in sorted((folder / "work/log").iterdir()) for line in file.read_text().splitlines()
    ]


def test_a_line_holds_time_event_and_the_fields_allowed(tmp_path: Path) -> None:
    log = open_log(settings_in(tmp_path), lambda: NOW)

    log("study scored", site="S01", study=12, seconds=8.12345, attempt=None)

    (line,) = lines(tmp_path)
    head = {"time": "2026-11-25T23:59:59.500+00:00", "level": "info", "logger": "sparcc.nightly.run"}
    fields = {"attempt": None, "seconds": 8.123, "site": "S01", "study": 12}
    assert line == {**head, "event": "study scored", **fields}


def test_no_identity_gets_in_by_any_field(tmp_path: Path) -> None:
    log = open_log(settings_in(tmp_path), lambda: NOW)
    try:
        raise ValueError(f"could not parse {NAME}")
    except ValueError as error:
        fault = error
    try:
        raise OutputError(f"cannot write /inbox/{NAME}") from fault
    except OutputError as error:
        outer = error

    for field in FIELDS:
        log("an event", **{field: NAME})
        log("an event", **{field: [NAME]})
        log("an event", **{field: Path(NAME)})
    log("an event", patient=NAME, birth_date="19800101")
    log("a fault", error=outer)

    found = lines(tmp_path)
    text = json.dumps(found, ensure_ascii=False)
    assert not any(part in text for part in ("Zhang", "San", "张", "19800101", "inbox"))
    assert len(found) == 3 * len(FIELDS) + 2
    assert all(REFUSED in line.values() for line in found[: 3 * len(FIELDS)])
    assert found[-2]["left_out"] == 2
    assert found[-1]["exception"] == "OutputError" and found[-1]["where"].startswith("test_logs.py:")


def test_every_event_of_the_program_is_a_constant_text_with_known_fields() -> None:
    calls = 0
    for file in Path(sparcc_pipeline.__file__).parent.joinpath("app/nightly").rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            named = isinstance(node, ast.Call) and ast.unparse(node.func).rpartition(".")[2] in {"log", "_log"}
            if (
                not isinstance(node, ast.Call)
                or not named
                or ast.unparse(node.func).startswith(("logger", "math", "np"))
            ):
                continue
            calls += 1
            assert isinstance(node.args[0], ast.Constant), f"{file.name}: {ast.unparse(node)}"
            names = {keyword.arg for keyword in node.keywords if keyword.arg is not None}
            assert names <= FIELDS | {"error"}, f"{file.name}: {ast.unparse(node)}"
    assert calls > 1


def test_each_day_has_its_file_and_old_files_are_removed(tmp_path: Path) -> None:
    folder = tmp_path / "work/log"
    folder.mkdir(parents=True)
    for name in ("2026-08-01-run.jsonl", "2026-11-01-run.jsonl", "notes.txt"):
        (folder / name).write_text("{}\n")
    days = iter([NOW, datetime(2026, 11, 26, 0, 0, 1, tzinfo=UTC)])
    log = open_log(settings_in(tmp_path), lambda: next(days))

    log("before midnight")
    log("after midnight")

    names = {file.name for file in folder.iterdir()}
    assert names == {"2026-11-01-run.jsonl", "notes.txt", "2026-11-25-run.jsonl", "2026-11-26-run.jsonl"}


def _write_many(folder: Path) -> None:
    log = open_log(settings_in(folder), lambda: NOW)
    for number in range(200):
        log("an event of this process with some length to it", study=number, owner="host:1234", seconds=number / 3)


def test_lines_of_several_processes_do_not_mix(tmp_path: Path) -> None:
    context = multiprocessing.get_context("fork")
    processes = [context.Process(target=_write_many, args=(tmp_path,)) for _ in range(3)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(30)

    assert sorted(line["study"] for line in lines(tmp_path)) == sorted(3 * list(range(200)))


def test_a_log_that_cannot_be_written_stops_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def full(_: int, __: bytes) -> int:
        raise OSError(28, "No space left on device", NAME)

    log = open_log(settings_in(tmp_path), lambda: NOW)
    monkeypatch.setattr(os, "write", full)

    log("an event", site="S01")

    text = capsys.readouterr().err
    assert "could not be written (OSError)" in text and NAME not in text


def test_a_link_in_place_of_a_log_is_not_followed(tmp_path: Path) -> None:
    folder = tmp_path / "work/log"
    folder.mkdir(parents=True)
    (tmp_path / "elsewhere").write_text("")
    (folder / "2026-11-25-run.jsonl").symlink_to(tmp_path / "elsewhere")

    open_log(settings_in(tmp_path), lambda: NOW)("an event")

    assert (tmp_path / "elsewhere").read_text() == ""
