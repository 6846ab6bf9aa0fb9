"""Metrics: valid exposition format, a whole file or none, and nothing of a participant."""

from __future__ import annotations

import math
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from sparcc_pipeline.app.ledger.ledger import Event
from sparcc_pipeline.app.nightly.morning.figures import night_metrics
from sparcc_pipeline.app.nightly.morning.metrics import Metric, metrics_text, write_metrics
from sparcc_pipeline.errors import OutputError

from .morning_builders import NOW, busy_morning, morning

# The grammar of the text format 0.0.4 (prometheus.io/docs/instrumenting/exposition_formats), typed again.
NAME = r"[a-zA-Z_:][a-zA-Z0-9_:]*"
LABEL = r'[a-zA-Z_][a-zA-Z0-9_]*="(?:[^"\\\n]|\\\\|\\"|\\n)*"'
VALUE = r"NaN|[+-]Inf|[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?"
HELP = re.compile(rf"# HELP ({NAME}) (?:[^\\\n]|\\\\|\\n)*")
TYPE = re.compile(rf"# TYPE ({NAME}) (counter|gauge)")
SAMPLE = re.compile(rf"({NAME})((?:\{{{LABEL}(?:,{LABEL})*\}})?) ({VALUE})")


def parse(text: str) -> dict[str, dict[str, float]]:
    """Return values by name and labels as written; fail on text that the grammar does not allow."""
    assert text.endswith("\n") or not text
    families: dict[str, dict[str, float]] = {}
    name = ""
    for line in text.split("\n")[:-1]:
        if match := HELP.fullmatch(line):
            name = match[1]
            assert name not in families, f"{name}: twice"
            families[name] = {}
        elif match := TYPE.fullmatch(line):
            assert match[1] == name and not families[name]
            assert (match[2] == "counter") == name.endswith("_total")
        else:
            match = SAMPLE.fullmatch(line)
            assert match is not None, line
            assert match[1] == name and match[2] not in families[name]
            families[name][match[2]] = float(match[3].replace("Inf", "inf"))
    return families


def test_the_figures_of_a_night(tmp_path: Path) -> None:
    text = metrics_text(night_metrics(busy_morning(), tmp_path))

    found = parse(text)
    assert found["sparcc_needs_somebody"]['{site="KRL"}'] == 2
    assert found["sparcc_studies"]['{site="KSH",standing="quarantined"}'] == 1
    assert found["sparcc_deliveries_pending"]['{site="KSH"}'] == 1
    assert found["sparcc_oldest_waiting_seconds"]['{site="URM"}'] == 6 * 3600
    assert found["sparcc_disk_free_bytes"][""] > 0
    # A site without scores has no median; 0 would be a very fast one.
    assert '{site="SHZ"}' not in found["sparcc_time_to_score_median_seconds"]
    assert not re.search(r"W12|W0|KSH-|participant", text)


def test_the_last_run_is_reported_once_there_was_one(tmp_path: Path) -> None:
    ended = Event(1, NOW, "run", None, None, None, None, None, "me", None, {"exit_code": 6})

    found = parse(metrics_text(night_metrics(morning(), tmp_path, ended)))

    assert found["sparcc_last_run_exit_code"] == {"": 6.0}
    assert found["sparcc_last_run_timestamp_seconds"] == {"": NOW.timestamp()}
    assert "sparcc_last_run_exit_code" not in parse(metrics_text(night_metrics(morning(), tmp_path)))


def test_an_empty_night(tmp_path: Path) -> None:
    found = parse(metrics_text(night_metrics(morning(), tmp_path)))

    assert set(found["sparcc_needs_somebody"].values()) == {0.0}
    assert "sparcc_time_to_score_worst_seconds" not in found


def test_another_parser_reads_the_same(tmp_path: Path) -> None:
    text = metrics_text(night_metrics(busy_morning(), tmp_path))

    families = list(text_string_to_metric_families(text))

    read = {(s.name, tuple(sorted(s.labels.items()))): s.value for family in families for s in family.samples}
    assert len(read) == sum(len(samples) for samples in parse(text).values())
    assert read["sparcc_needs_somebody", (("site", "KRL"),)] == 2


@given(
    st.text(max_size=30),
    st.dictionaries(st.from_regex(r"[a-z_]{1,8}", fullmatch=True), st.text(max_size=20), max_size=3),
    st.floats(),
)
def test_any_text_and_number_is_valid(text: str, labels: dict[str, str], value: float) -> None:
    written = metrics_text([Metric("sparcc_x", "gauge", text, [(labels, value)])])

    (found,) = parse(written)["sparcc_x"].values()
    assert found == value or (math.isnan(found) and math.isnan(value))


def test_two_values_with_the_same_labels_are_refused() -> None:
    with pytest.raises(ValueError, match="same labels"):
        Metric("sparcc_x", "gauge", "", [({"site": "A"}, 1), ({"site": "A"}, 2)])


def test_a_file_that_cannot_be_written_leaves_the_earlier_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    metric = Metric("sparcc_x", "gauge", "", [({}, 1)])
    file = write_metrics([metric], tmp_path)
    before = file.read_bytes()

    def full(*_: object) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(OutputError, match="no space left"):
        write_metrics([Metric("sparcc_x", "gauge", "", [({}, 2)])], tmp_path)

    assert file.read_bytes() == before
    assert list(tmp_path.iterdir()) == [file]
