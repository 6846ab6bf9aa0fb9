"""The benchmark reports what it measured, and what is missing."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from sparcc_pipeline.app.development import benchmark as benchmark_command
from sparcc_pipeline.app.development.benchmark import run_benchmark
from sparcc_pipeline.app.development.benchmark_process import STAGES, measure_loading

from ..conftest import make_stir

MEASURED = {
    "cold": {name: [2.0, 1.0] for name in STAGES},
    "warm": {name: [1.8, 0.9] for name in STAGES if name != "model"},
    "peak_memory_mb": 400.0,
}


def test_an_engine_that_is_missing_is_a_row(
    study: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def measured(kind: str, source: Path, engine: str, threads: int, repeats: int) -> dict[str, Any]:
        if kind == "loading":
            return {"ours": {"load": [0.2, 0.1]}, "simpleitk": {"load": [0.3, 0.2]}}
        return {"error": "expected torch, found none"} if engine == "torch" else MEASURED

    monkeypatch.setattr(benchmark_command, "_measured", measured)
    run_benchmark(study, 2, 1, as_json=False)
    table = capsys.readouterr().out
    assert "torch      expected torch, found none" in table
    assert "Studies an hour, one warm process: 2000" in table
    run_benchmark(study, 2, 1, as_json=True)
    document = json.loads(capsys.readouterr().out)
    assert document["machine"]["cores"] >= 1 and document["engines"]["torch"]["error"]
    assert document["warm"]["total"] == [1.8, 0.9]


def test_both_readers_read_the_same_files(study: Path) -> None:
    measured = measure_loading(study, 1)

    assert set(measured) == {"ours", "simpleitk"}
    assert all(seconds > 0 for each in measured.values() for seconds in each["load"])
    assert make_stir().geometry.shape[0] == len(list(study.iterdir()))
