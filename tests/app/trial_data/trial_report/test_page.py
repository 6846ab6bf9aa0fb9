"""`sparcc trial report`, `simulate` and `demo`: blinded by bytes, whole in both languages."""

from __future__ import annotations

import ast
import csv
import json
import re
import shutil
from datetime import UTC, datetime
from pathlib import Path

import pytest
from pypdf import PdfReader

from sparcc_pipeline.app.report.language import language
from sparcc_pipeline.app.study.protocol_file import SHIPPED_PROTOCOL, load_protocol
from sparcc_pipeline.app.study.resources import config_file
from sparcc_pipeline.app.trial_data import run
from sparcc_pipeline.app.trial_data.read.sources import TrialSources, load_trial
from sparcc_pipeline.app.trial_data.scores.imaging import score_points
from sparcc_pipeline.app.trial_data.simulate import run as simulate
from sparcc_pipeline.app.trial_data.simulate.phantom_scores import score_phantoms
from sparcc_pipeline.app.trial_data.trial_report import words as terms
from sparcc_pipeline.simulation.items import simulated_items
from sparcc_pipeline.simulation.simulate import simulate_trial
from sparcc_pipeline.trial import eligibility
from sparcc_pipeline.trial.protocol.choices import CHOICES

from ..conftest import Call
from ..test_blinding import PRESCRIPTION

CHINESE = language("zh")


NOW = datetime(2026, 11, 24, tzinfo=UTC)


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The demonstration with nine participants, of whom one has one study that is drawn and scored."""
    folder = tmp_path_factory.mktemp("trial") / "demo"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(simulate, "DEMO_ARMS", {"taper": 6, "control": 3})
        patch.setattr(simulate, "score_phantoms", lambda studies, *rest: score_phantoms(studies[:1], *rest))
        patch.setattr("webbrowser.open", lambda _: pytest.fail("--no-open"))
        for module in (run, simulate):
            patch.setattr(module, "utc_now", lambda: NOW)
        simulate.run_demo(folder, 1, "en", pdf=False, show=False)
    return folder


@pytest.fixture
def data(demo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the demonstration's files."""
    monkeypatch.setattr(run, "utc_now", lambda: NOW)
    return shutil.copytree(demo / "data", tmp_path / "data")


def _arguments(data: Path, out: Path) -> list[str | Path]:
    return [
        data / "participants.csv",
        data / "visits.csv",
        "--scores",
        data / "scores.csv",
        "--readings",
        data / "readings.csv",
        "--items",
        data / "reading_items.csv",
        "--protocol",
        data / "protocol.toml",
        "--out",
        out,
    ]


def _bytes(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in folder.iterdir()}


def test_the_demo_writes_its_data_and_report(demo: Path) -> None:
    assert sorted(each.name for each in (demo / "report").iterdir()) == [
        "missing.csv",
        "queries.csv",
        "report.html",
        "report.json",
    ]
    page = (demo / "report" / "report.html").read_text(encoding="utf-8")
    assert page.count('class="person"') == 9
    assert "PABAK" in page and "R1: machine against reader" in page
    assert "http://" not in page.replace("http://www.w3.org", "") and "<script" not in page


def test_the_path_of_the_report_is_printed_after_the_queries(data: Path, trial: Call, tmp_path: Path) -> None:
    ended = trial("report", *_arguments(data, tmp_path / "out"))

    *others, last = ended.out.splitlines()
    assert last == f"Report: {tmp_path / 'out' / 'report.html'}"
    assert any("data queries" in line for line in others)


def test_a_phantom_of_the_demo_is_scored_as_it_was_drawn(demo: Path) -> None:
    folder = next(file.parent for file in (demo / "data").rglob("score.json") if (file.parent / "report.html").exists())
    protocol = load_protocol(demo / "data" / "protocol.toml")
    simulated = simulate_trial(protocol, simulate.load_assumptions(None), 1)
    wanted = next(
        each
        for each in simulated_items(simulated, protocol)
        if each.reader is None and (each.participant, each.visit) == folder.parts[-2:]
    )

    document = json.loads((folder / "score.json").read_text(encoding="utf-8"))
    assert (document["total"], document["provenance"]["model"]["name"]) == (wanted.total, "phantom")
    assert score_points(document) == wanted.points


def test_the_demo_opens_its_report_where_there_is_a_screen(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, trial: Call
) -> None:
    opened: list[str] = []
    monkeypatch.setattr(simulate, "DEMO_ARMS", {"taper": 2, "control": 1})
    monkeypatch.setattr(simulate, "score_phantoms", lambda *_: None)
    monkeypatch.setattr(simulate, "run_report", lambda *_, **__: None)
    monkeypatch.setattr("webbrowser.open", opened.append)
    monkeypatch.setattr("sys.platform", "linux")
    monkeypatch.setenv("DISPLAY", ":0")
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)

    assert trial("demo", "--out", tmp_path / "a", "--no-open").code == 0 and opened == []
    assert trial("demo", "--out", tmp_path / "b").code == 0
    assert opened == [(tmp_path / "b" / "report" / "report.html").as_uri()]
    monkeypatch.delenv("DISPLAY")
    assert trial("demo", "--out", tmp_path / "c").code == 0 and len(opened) == 1


def test_the_files_hold_the_simulated_trial(data: Path) -> None:
    protocol = load_protocol(data / "protocol.toml")
    sources = TrialSources(
        [data / "participants.csv", data / "visits.csv"],
        data / "scores.csv",
        [data / "readings.csv"],
        [data / "reading_items.csv"],
    )
    loaded = load_trial(sources, protocol).data
    trial = simulate_trial(protocol, simulate.load_assumptions(None), 1)
    expected = trial.data

    assert {(p.participant, p.site, p.screening) for p in loaded.participants} == {
        (p.participant, p.site, p.screening) for p in expected.participants
    }
    assert sorted(loaded.visits, key=str) == sorted(expected.visits, key=str)
    assert sorted(loaded.readings, key=str) == sorted(expected.readings, key=str)
    assert [(s.participant, s.visit, s.total) for s in loaded.scores] == [
        (s.participant, s.visit, s.total) for s in expected.scores
    ]
    assert sorted(loaded.items, key=str) == sorted(simulated_items(trial, protocol), key=str)


def test_the_blinded_report_does_not_depend_on_the_allocation(
    demo: Path, data: Path, trial: Call, tmp_path: Path
) -> None:
    first = _bytes(demo / "report")
    lines = (data / "allocation.csv").read_text(encoding="utf-8").splitlines()
    arms = [line.split(",")[1] for line in lines[1:]]
    turned = [f"{line.split(',')[0]},{arm}" for line, arm in zip(lines[1:], arms[1:] + arms[:1], strict=True)]
    (data / "allocation.csv").write_text("\n".join([lines[0], *turned]) + "\n", encoding="utf-8")
    assert trial("report", *_arguments(data, tmp_path / "permuted")).code == 0
    (data / "allocation.csv").unlink()
    (data / "dosing.csv").unlink()
    assert trial("report", *_arguments(data, tmp_path / "absent")).code == 0

    assert first == _bytes(tmp_path / "permuted") == _bytes(tmp_path / "absent")
    for name, content in first.items():
        text = content.decode("utf-8").replace("dose reduction in early axial", "")
        for word in (r"\btaper\b", r"\bcontrol\b", r"\barms?\b", "15 mg", "allocated"):
            assert re.search(word, text) is None, f"{name}: {word}"


def test_only_unblind_shows_the_arm_and_the_dose(data: Path, trial: Call, tmp_path: Path) -> None:
    more = ["--unblind", data / "allocation.csv", "--dosing", data / "dosing.csv"]

    ended = trial("report", *_arguments(data, tmp_path / "out"), *more)

    assert ended.code == 0 and "UNBLINDED" in ended.out
    page = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    assert "UNBLINDED" in page and "taper" in page and "control" in page and "15 mg daily" in page
    assert "allocation.csv" in page and "dosing.csv" in page
    assert PRESCRIPTION.search(re.sub(r"<title>.*?</title>", "", page)) is None


def _flow_and_attended(page: str) -> tuple[int, list[int], list[int]]:
    """The people in the trial, those of each group in the flow, and those of each group's table at the first visit."""
    inside = re.search(r"<b>(\d+)</b>in the trial", page)
    groups = re.findall(r"<div><b>(\d+)</b>(?:taper|control|not in the allocation)", page)
    first = re.findall(r'<tr><th scope="row">W0</th><td>(\d+)</td><td>(\d+)</td><td>(\d+)</td><td>', page)
    assert inside is not None
    return int(inside[1]), [int(n) for n in groups], [sum(map(int, row)) for row in first[: len(groups)]]


def test_unblinded_tables_and_flow_count_the_same_people(data: Path, trial: Call, tmp_path: Path) -> None:
    allocation = data / "allocation.csv"
    lines = allocation.read_text(encoding="utf-8").splitlines()
    screened = (data / "participants.csv").read_text(encoding="utf-8").splitlines()
    outside = next(line.split(",")[0] for line in screened[1:] if line.split(",")[0] not in "".join(lines))
    for name, kept in (
        ("all", lines),
        ("half", lines[:5]),
        ("ineligible", [*lines, f"{outside},control"]),
        ("unknown", [*lines, "P999,taper"]),
    ):
        allocation.write_text("\n".join(kept) + "\n", encoding="utf-8")
        ended = trial("report", *_arguments(data, tmp_path / name), "--unblind", allocation)
        assert ended.code == 0, ended.err

        page = (tmp_path / name / "report.html").read_text(encoding="utf-8")
        inside, flow, tables = _flow_and_attended(page)
        assert inside == sum(flow) == sum(tables) and flow == tables
        assert inside == (10 if name == "ineligible" else 9)
        assert len(flow) == (3 if name == "half" else 2)
        assert ("5 participants without an arm" in page) == (name == "half")
        assert ("and 1 in the allocation who are in no table of data" in page) == (name == "unknown")


def test_a_dose_without_unblinding_is_refused(data: Path, trial: Call, tmp_path: Path) -> None:
    ended = trial("report", *_arguments(data, tmp_path / "out"), "--dosing", data / "dosing.csv")

    assert ended.code == 2
    assert not (tmp_path / "out").exists()


def test_the_chinese_report_has_the_same_content_in_chinese(data: Path, trial: Call, tmp_path: Path) -> None:
    assert trial("report", *_arguments(data, tmp_path / "zh"), "--lang", "zh").code == 0

    page = (tmp_path / "zh" / "report.html").read_text(encoding="utf-8")
    words = re.sub(r"<style>.*?</style>|<svg.*?</svg>|<img[^>]*>", " ", page, flags=re.DOTALL)
    for text in ("受试者流程", "双重目标", "一致性", "数据质疑", "无法评估"):
        assert text in words
    for english in ("Flow of participants", "not assessable", "Agreement", "Attended", "screened", "expected", "fill"):
        assert english not in words
    queries = list(csv.DictReader((tmp_path / "zh" / "queries.csv").read_text(encoding="utf-8").splitlines()))
    assert queries and all(re.search("[\u4e00-\u9fff]", query["remedy"]) for query in queries)
    assert PRESCRIPTION.search(words) is None


def test_the_pdf_has_a_page_for_each_participant(data: Path, trial: Call, tmp_path: Path) -> None:
    ended = trial("report", *_arguments(data, tmp_path / "pdf"), "--pdf")

    if "expected the libraries that draw a PDF" in ended.err:
        pytest.skip(ended.err)
    assert ended.code == 0
    pages = [page.extract_text() for page in PdfReader(tmp_path / "pdf" / "report.pdf").pages]
    names = re.findall(r'id="(P\d+)"', (tmp_path / "pdf" / "report.html").read_text(encoding="utf-8"))
    assert [re.findall(r"P\d+", text)[0] for text in pages[-9:]] == names


def test_a_finished_report_is_not_replaced_without_force(demo: Path, data: Path, trial: Call, tmp_path: Path) -> None:
    shutil.copytree(demo / "report", tmp_path / "out")
    before = _bytes(tmp_path / "out")

    assert trial("report", *_arguments(data, tmp_path / "out")).code == 6
    assert _bytes(tmp_path / "out") == before
    assert trial("report", *_arguments(data, tmp_path / "out"), "--force").code == 0


def test_simulate_gives_the_same_by_seed_and_explains_itself(
    trial: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("os.cpu_count", lambda: 1)
    protocol = tmp_path / "protocol.toml"
    shipped = Path(config_file(SHIPPED_PROTOCOL)).read_text(encoding="utf-8")
    shipped = shipped.replace("participants = 100", "participants = 4").replace("participants = 50", "participants = 2")
    protocol.write_text(shipped, encoding="utf-8")
    for name in ("one", "two"):
        ended = trial("simulate", "--out", tmp_path / name, "--trials", "1", "--seed", "5", "--protocol", protocol)
        assert ended.code == 0

    for file in (
        "simulation.json",
        "simulation.md",
        "chance_met.svg",
        "wrong_calls.svg",
        "data/visits.csv",
        "data/allocation.csv",
    ):
        assert (tmp_path / "one" / file).read_bytes() == (tmp_path / "two" / file).read_bytes()
    text = (tmp_path / "one" / "simulation.md").read_text(encoding="utf-8")
    assert "SPARCC < 2" in text and "SPARCC <= 2" in text and "mean of two readers" in text and "machine" in text


def test_every_dose_and_criterion_has_words_in_every_language() -> None:
    doses = {str(o.text) for choice in CHOICES if choice.key.endswith("_step") for o in choice.options} | {
        "15 mg daily"
    }
    assert doses <= set(terms.DOSES)
    source = ast.parse(Path(eligibility.__file__).read_text(encoding="utf-8"))
    names = {
        node.args[0].value
        for node in ast.walk(source)
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id in ("_between", "_at_least", "_at_most_uln", "_answer")
        and isinstance(node.args[0], ast.Constant)
    }
    assert len(names) == 17 and names <= set(terms.CRITERIA)
    for message in (*terms.DOSES, *terms.CRITERIA):
        assert message in CHINESE.catalogue
