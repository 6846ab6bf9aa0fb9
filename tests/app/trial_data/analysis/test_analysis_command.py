"""`sparcc trial analysis` and `shells` on a simulated trial, as a user calls them."""

from __future__ import annotations

import csv
import json
import re
from pathlib import Path

import pytest
import tomli_w

from sparcc_pipeline.app.study.config import read_toml
from sparcc_pipeline.app.trial_data.analysis import fits
from sparcc_pipeline.app.trial_data.simulate import run as simulate
from sparcc_pipeline.app.trial_data.simulate.files import write_trial_files
from sparcc_pipeline.simulation.simulate import simulate_trial
from sparcc_pipeline.trial.protocol.mapping import protocol_from

from ....trial.plans import analysis_content
from ..conftest import Call
from ..test_blinding import PRESCRIPTION


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files of a simulated trial of 45 participants, with the analysis of the document."""
    folder = tmp_path_factory.mktemp("analysis")
    assumptions = simulate.load_assumptions(None)
    content = simulate._protocol_content(None, assumptions, {"taper": 30, "control": 15})
    plan = analysis_content()
    plan["analysis"]["imputations"]["value"] = 5
    content |= {key: plan[key] for key in ("analysis", "estimands")}
    protocol = protocol_from(content, "protocol.toml")
    write_trial_files(simulate_trial(protocol, assumptions, 1), protocol, content, folder)
    return folder


def _arguments(data: Path, out: Path) -> list[str | Path]:
    clinical = [data / "participants.csv", data / "visits.csv"]
    return [*clinical, "--readings", data / "readings.csv", "--protocol", data / "protocol.toml", "--out", out]


def test_the_analysis_by_arm(data: Path, trial: Call, tmp_path: Path) -> None:
    unblinded = ["--unblind", data / "allocation.csv", "--dosing", data / "dosing.csv"]

    ended = trial("analysis", *_arguments(data, tmp_path / "out"), *unblinded)

    assert ended.code == 0, ended.err
    assert ended.out.startswith("UNBLINDED")
    document = json.loads((tmp_path / "out" / "analysis.json").read_text())
    assert document["unblinded"] is True and document["schema"] == "sparcc-trial-analysis/1"
    assert [each["name"] for each in document["estimands"]] == ["asdas_w48", "sparcc_w48", "target_w48"]
    with (data / "allocation.csv").open() as stream:
        arms = [row["arm"] for row in csv.DictReader(stream)]
    for each in document["estimands"]:
        assert [arm["randomised"] for arm in each["participants"]] == [arms.count("taper"), arms.count("control")]
        # With so few participants the logistic model of a completed data set can be without a finite answer.
        if each["name"] == "target_w48" and each["primary"] is None:
            assert each["note"]
            continue
        assert each["primary"]["low"] < each["primary"]["estimate"] < each["primary"]["high"]
    with (tmp_path / "out" / "estimates.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    assert len(rows) == 6 and all(bool(row["n_test"]) != bool(row["note"]) for row in rows)
    page = (tmp_path / "out" / "analysis.html").read_text(encoding="utf-8")
    assert "UNBLINDED" in page and all(f'href="#{key}"' in page for key in ("estimands", "effects", "tipping"))
    assert PRESCRIPTION.search(page) is None


def test_a_dummy_allocation_opens_no_file_and_is_marked(data: Path, trial: Call, tmp_path: Path) -> None:
    first = trial("analysis", *_arguments(data, tmp_path / "a"), "--dummy", "1")
    trial("analysis", *_arguments(data, tmp_path / "b"), "--dummy", "2", "--lang", "zh")

    assert first.code == 0 and first.out.startswith("DUMMY ALLOCATION"), first.err
    found = [json.loads((tmp_path / name / "analysis.json").read_text()) for name in "ab"]
    assert [each["dummy_allocation_seed"] for each in found] == [1, 2]
    assert found[0]["unblinded"] is False
    assert not any(each["file"] == "allocation.csv" for each in found[0]["inputs"])
    assert found[0]["estimands"][0]["primary"] != found[1]["estimands"][0]["primary"]
    assert "虚拟分组" in (tmp_path / "b" / "analysis.html").read_text(encoding="utf-8")


def test_the_shells_are_the_same_tables_without_numbers(data: Path, trial: Call, tmp_path: Path) -> None:
    ended = trial("shells", "--protocol", data / "protocol.toml", "--out", tmp_path / "shells")
    trial("analysis", *_arguments(data, tmp_path / "a"), "--dummy", "1")

    assert ended.code == 0, ended.err
    pages = [(tmp_path / name / "analysis.html").read_text(encoding="utf-8") for name in ("shells", "a")]
    headers = [re.findall(r"<th(?: scope=\"row\")?>([^<]*)</th>", page.split('id="made"')[0]) for page in pages]
    assert headers[0] == headers[1]
    assert "xx" in pages[0] and "xx" not in pages[1]


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ([], "give --unblind ALLOCATION"),
        (["--unblind", "allocation.csv", "--dummy", "1"], "give --unblind ALLOCATION"),
        (["--dummy", "1", "--dosing", "dosing.csv"], "--dosing needs --unblind"),
        (["--unblind", "allocation.csv"], "--dosing is needed: the estimand target_w48"),
    ],
)
def test_options_that_do_not_fit_are_refused(
    more: list[str], message: str, data: Path, trial: Call, tmp_path: Path
) -> None:
    given = [data / each if each.endswith(".csv") else each for each in more]

    ended = trial("analysis", *_arguments(data, tmp_path / "out"), *given)

    assert ended.code == 2 and message in " ".join(ended.err.split()).replace("│ ", "")
    assert not (tmp_path / "out").exists()


def test_a_protocol_without_an_analysis_is_refused(data: Path, trial: Call, tmp_path: Path) -> None:
    content = read_toml(data / "protocol.toml")
    bare = tmp_path / "bare.toml"
    bare.write_text(tomli_w.dumps({k: v for k, v in content.items() if k not in ("analysis", "estimands")}))

    ended = trial("shells", "--protocol", bare, "--out", tmp_path / "out")

    assert ended.code == 2 and "expected the tables [analysis] and [[estimands]]" in ended.err


def test_without_the_extra_the_command_names_its_installation(
    data: Path, trial: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "statsmodels", None)

    ended = trial("analysis", *_arguments(data, tmp_path / "out"), "--dummy", "1")

    assert ended.code == 2 and fits.INSTALL in ended.err and ended.err.count("\n") == 1
