"""The commands of the night: settings, status, decisions, a run from upload to report, and the end by a signal."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from typer.testing import CliRunner

from sparcc_pipeline.app.cli import main as cli
from sparcc_pipeline.app.ledger.database import open_database
from sparcc_pipeline.app.ledger.ledger import FileRecord, Ledger, UploadRecord
from sparcc_pipeline.app.ledger.states import State, UploadState
from sparcc_pipeline.app.nightly import run as run_module
from sparcc_pipeline.app.nightly.desk import NightDesk
from sparcc_pipeline.app.nightly.settings import load_settings
from sparcc_pipeline.app.nightly.status import open_ledger, plain_text
from sparcc_pipeline.app.nightly.work.night import Night
from sparcc_pipeline.app.nightly.work.recording import Tally
from sparcc_pipeline.app.reader import run as reader_run
from sparcc_pipeline.app.study import installation
from sparcc_pipeline.app.study.config import load_config
from sparcc_pipeline.errors import ConfigError, OutputError

from .work.stub_night import WHY, InlineWorkers, StubNight

REPOSITORY = Path(__file__).parents[3]
EXAMPLE = REPOSITORY / "configs" / "nightly.toml"
PHANTOM = REPOSITORY / "data_samples" / "phantom_study" / "dicom"

SETTINGS = """
[paths]
identity_folder = "identity"
work_folder = "work"

[[site]]
code = "S01"
name = "One"
inbox = "inbox"
manifest = "S01.csv"

[intake]
quiet_minutes = 0.0

[deliver]
folder = "delivered"
"""


@pytest.fixture
def settings(tmp_path: Path) -> Path:
    """A settings file, with an empty inbox and a manifest of one participant."""
    (tmp_path / "inbox").mkdir()
    (tmp_path / "S01.csv").write_text("patient_id,participant,visit\nPHANTOM207,P001,baseline\n")
    file = tmp_path / "nightly.toml"
    file.write_text(SETTINGS)
    return file


def _call(*arguments: object) -> str:
    result = CliRunner().invoke(cli.app, [str(each) for each in arguments], catch_exceptions=False)
    assert result.exit_code == 0, result.output + _log_beside(arguments)
    return result.output


def _log_beside(arguments: tuple[object, ...]) -> str:
    """Return the log of the night, which holds the reason of a failure."""
    folders = [each.parent / "work" for each in arguments if isinstance(each, Path)]
    return "".join(file.read_text() for folder in folders for file in folder.rglob("*.jsonl"))


def test_the_example_is_valid_and_shows_the_defaults() -> None:
    example = load_settings(EXAMPLE)

    assert example.receive.host == "127.0.0.1"
    bare = type(example).model_validate({"paths": example.paths, "site": example.site})
    assert example == bare
    assert example.paths.identity_folder == EXAMPLE.parent / "identity"
    assert example.database_url == f"sqlite:///{EXAMPLE.parent / 'work' / 'ledger.sqlite'}"


@pytest.mark.parametrize(
    ("before", "after", "complaint"),
    [
        ("[intake]", "[receive]\nprot = 1\n[intake]", r"nightly\.toml, found 'receive\.prot'"),
        ('code = "S01"', 'code = "../S01"', r"valid 'site\.0\.code' in .*found '\.\./S01'"),
        ('name = "One"', "", r"the key 'site\.0\.name' in .*found none; add it"),
        ('work_folder = "work"', 'work_folder = "identity/work"', "must be apart"),
        ('name = "One"', 'name = "One"\nae_title = "A\\\\B"', r"site\.0\.ae_title"),
        ("[deliver]", '[[pull]]\nsite = "S09"\npacs = "A@b:1"\ndays = 1\n[deliver]', "not listed: s09"),
        (
            "[deliver]",
            '[[site]]\ncode = "s01"\nname = "Two"\nmanifest = "x"\n[deliver]',
            "a code and an ae_title of its own",
        ),
        ("[deliver]", "[run]\nlease_seconds = 0\n[deliver]", r"'run\.lease_seconds'"),
    ],
)
def test_wrong_settings_name_file_and_key(settings: Path, before: str, after: str, complaint: str) -> None:
    settings.write_text(SETTINGS.replace(before, after))

    with pytest.raises(ConfigError, match=complaint):
        load_settings(settings)


def test_status_and_decisions_as_a_coordinator_sees_them(settings: Path, tmp_path: Path) -> None:
    assert _call("nightly", "status", "--config", settings) == "No study so far.\n"
    engine = open_database(load_settings(settings).database_url)
    ledger = Ledger(engine, lambda: datetime.now(UTC))
    for name in ("one", "two"):
        ledger.record_upload(UploadRecord(f"inbox-{name}", "S01", "inbox", [FileRecord(name, 1)]))
        version = ledger.record_study("S01", name, name, [f"inbox-{name}"])
        ledger.assign(version.id, "P001", "baseline")
        held = ledger.claim(State.RECEIVED, "worker", timedelta(minutes=1), 5)
        assert held is not None
        ledger.quarantine(held, WHY)
    ledger.record_upload(UploadRecord("inbox-bomb", "S01", "inbox", []))
    ledger.close_upload("inbox-bomb", UploadState.REJECTED, WHY)

    shown = _call("nightly", "status", "--config", settings)
    assert "1: S01/P001/baseline v1 quarantined: 3 days\n" in shown
    assert "inbox-bomb: upload of S01 rejected: 3 days\n" in shown
    decide = ("--reason", "seen", "--by", "Li", "--config", settings)
    assert _call("nightly", "supersede", 1, 2, "--by", "Li", "--config", settings) == (
        "1: S01/P001/baseline v1 quarantined\n2: S01/P001/baseline v2 received\n"
    )
    assert _call("nightly", "release", 1, *decide) == "1: S01/P001/baseline v1 received\n"
    assert _call("nightly", "release", "inbox-bomb", *decide) == "inbox-bomb: upload of S01 received\n"
    with pytest.raises(ConfigError, match="expected a study in quarantine, or one that failed"):
        _call("nightly", "reject", 2, *decide)
    with pytest.raises(ConfigError, match="failed or was rejected"):
        _call("nightly", "retry", 2, "--config", settings)

    document = json.loads(_call("nightly", "status", "--json", "--config", settings))
    found = [(each["id"], each["state"], each["superseded_by"]) for each in document["studies"]]
    assert found == [(1, "received", 2), (2, "received", None)]
    assert {each.by for each in ledger.history() if each.event == "superseded"} == {"Li"}
    engine.dispose()


def test_from_upload_to_delivered_result_and_report(settings: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Intake, de-identification, installed model, delivery and report are real; this process is the worker."""
    folder = settings.parent

    class Here(InlineWorkers):
        def __init__(self, run: object) -> None:
            self.config = load_config().model_copy(update={"threads": 1})
            self.model_sha256 = installation.load_installed_segmenter(self.config).provenance["sha256"]

    monkeypatch.setattr(run_module, "DaskWorkers", Here)
    shutil.make_archive(str(folder / "inbox" / "ZHANG San 1970-01-01"), "zip", PHANTOM)
    shutil.copytree(PHANTOM, folder / "inbox" / "the same again")

    text = _call("nightly", "run", "--config", settings)

    assert text.endswith("Studies: 1 scored, 1 delivered\n")
    result = folder / "work" / "results" / "S01" / "P001" / "baseline" / "v1"
    assert json.loads((result / "score.json").read_text())["status"] == "scored"
    assert (result / "seg.dcm").is_file()
    assert any((folder / "delivered").rglob("score.json"))
    assert Path(text.splitlines()[0].removeprefix("Report: ")).is_file()
    (study,) = json.loads(_call("nightly", "status", "--json", "--config", settings))["studies"]
    assert (study["state"], study["facts"]["status"], study["attempts"]) == ("delivered", "scored", 0)
    for file in (*(folder / "work").rglob("*"), *(folder / "delivered").rglob("*")):
        assert "ZHANG" not in file.name
        assert not file.is_file() or b"PHANTOM207" not in file.read_bytes()

    assert _call("nightly", "run", "--config", settings).endswith("Studies: none was scored or set aside\n")


def test_watch_ends_on_a_signal(settings: Path) -> None:
    program = "from sparcc_pipeline.app.cli.main import main; main()"
    watch = subprocess.Popen(
        [sys.executable, "-c", program, "nightly", "watch", "--config", str(settings)], env=os.environ
    )
    try:
        log = settings.parent / "work" / "log"
        deadline = time.monotonic() + 60
        while not any("watch begins" in file.read_text() for file in log.glob("*.jsonl")):
            assert time.monotonic() < deadline
            assert watch.poll() is None
            time.sleep(0.05)
        watch.send_signal(signal.SIGTERM)
        assert watch.wait(timeout=60) == 0
    finally:
        watch.kill()
    assert any("watch ends" in file.read_text() for file in log.glob("*.jsonl"))


def test_a_stop_between_studies_leaves_the_rest_for_the_next_run(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'ledger.sqlite'}"
    open_database(url).dispose()
    night = StubNight(tmp_path, url, tuple((f"P{n}", "baseline", "straight") for n in range(4)))
    score, scored = night.night._steps.score, []

    def stop_after_two(task: object) -> object:
        scored.append(task)
        if len(scored) == 2:
            night.night._stop.set()
        return score(task)  # type: ignore[arg-type]

    night.night._steps = type(night.night._steps)(**{**vars(night.night._steps), "score": stop_after_two})
    night.night.run()

    states = [each.state for each in night.ledger.versions()]
    assert states == [State.SCORED] * 2 + [State.DEIDENTIFIED] * 2
    assert night.ledger.owners() == []
    night.close()


def test_a_missing_inbox_is_the_first_line_and_the_exit_code(settings: Path, tmp_path: Path) -> None:
    with settings.open("a", encoding="utf-8") as opened:
        opened.write('\n[[site]]\ncode = "S09"\nname = "Nine"\ninbox = "not-mounted"\nmanifest = "nine.csv"\n')

    run = CliRunner().invoke(cli.app, ["nightly", "run", "--config", str(settings)])

    assert run.exit_code == OutputError.exit_code
    lines = [line for line in run.output.splitlines() if not line.startswith("Report")]
    assert lines[0].startswith("Problem: it failed: expected an inbox that can be read")
    (page,) = tmp_path.rglob("report.en.html")
    text = page.read_text(encoding="utf-8")
    assert text.index("not-mounted") < text.index("Needs you today") and "Nothing waits" not in text


def test_control_characters_of_a_header_never_reach_the_terminal() -> None:
    assert plain_text("LI^MEI\x1b[2J\x07 张三") == "LI^MEI\\x1b[2J\\x07 张三"


def test_watch_reports_where_it_listens(settings: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.write_text(SETTINGS.replace('inbox = "inbox"', 'ae_title = "SITE1"') + "\n[receive]\nport = 11999\n")
    monkeypatch.setattr(Night, "round", lambda self: self._stop.set() or Tally())

    assert "Receiving as SPARCC on 127.0.0.1, port 11999" in _call(
        "nightly", "watch", "--receive", "--config", settings
    )


def test_other_users_lose_the_ledger_at_the_next_start(settings: Path) -> None:
    _call("nightly", "report", "--config", settings)
    ledger = settings.parent / "work" / "ledger.sqlite"
    ledger.chmod(0o646)

    _call("nightly", "report", "--config", settings)

    assert ledger.stat().st_mode & 0o777 == 0o640


def test_what_failed_is_in_the_ledger_until_it_works(settings: Path, tmp_path: Path) -> None:
    text = settings.read_text(encoding="utf-8")
    site = '\n[[site]]\ncode = "S09"\nname = "Nine"\ninbox = "not-mounted"\nmanifest = "nine.csv"\n'
    settings.write_text(text + site, encoding="utf-8")
    CliRunner().invoke(cli.app, ["nightly", "run", "--config", str(settings)])
    with open_ledger(settings) as ledger:
        (problem,) = ledger.problems()
        assert "not-mounted" in str(problem)
    (tmp_path / "not-mounted").mkdir()

    CliRunner().invoke(cli.app, ["nightly", "run", "--config", str(settings)])

    with open_ledger(settings) as ledger:
        assert ledger.problems() == []


def test_an_account_of_the_reading_page_belongs_to_one_site(settings: Path) -> None:
    site = '\n[[site]]\ncode = "{code}"\nname = "N"\nmanifest = "n.csv"\nusers = ["li.na"]\n'
    with settings.open("a", encoding="utf-8") as opened:
        opened.write(site.format(code="S08") + site.format(code="S09"))
    with pytest.raises(ConfigError, match="belongs to one site"):
        load_settings(settings)


def test_the_reading_page_serves_the_morning_of_a_night(settings: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    served: list[object] = []
    monkeypatch.setattr(reader_run, "serve", lambda _, night: served.append(night))

    run = CliRunner().invoke(cli.app, ["reader", "serve", "--nightly", str(settings)])

    assert run.exit_code == 0, run.output
    assert isinstance(served[0], NightDesk) and served[0].newest(None) == 0
    wrong = CliRunner().invoke(cli.app, ["reader", "serve", "--nightly", str(settings.parent / "none.toml")])
    assert isinstance(wrong.exception, ConfigError) and len(served) == 1
