"""Studies without a score are scored as a batch, which resumes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from distributed import Client, LocalCluster

from sparcc_pipeline.app.batch import task as batch_task
from sparcc_pipeline.app.study import installation
from sparcc_pipeline.app.study.config import load_config
from sparcc_pipeline.app.validation.run import ValidationRequest, load_material
from sparcc_pipeline.dicom.write import write_mr_series

from ..conftest import KnownSegmenter, make_stir, make_tissue
from ..trial_data.conftest import write_csv


@pytest.fixture
def client(monkeypatch: pytest.MonkeyPatch) -> Iterator[Client]:
    """One worker in this process, whose model knows the tissue."""
    monkeypatch.setattr(installation, "load_installed_segmenter", lambda config: KnownSegmenter(make_tissue()))
    batch_task._warm_segmenter.cache_clear()
    with (
        LocalCluster(
            n_workers=1,
            threads_per_worker=1,
            processes=False,
            dashboard_address=None,
            scheduler_kwargs={"dashboard": False, "dashboard_address": "127.0.0.1:0"},
        ) as workers,
        Client(workers) as client,
    ):
        yield client
    batch_task._warm_segmenter.cache_clear()


class Workers:
    """The client as a context that does not close it; counts how often it is asked for."""

    def __init__(self, client: Client) -> None:
        self.client, self.asked = client, 0

    def __call__(self) -> Workers:
        self.asked += 1
        return self

    def __enter__(self) -> Client:
        return self.client

    def __exit__(self, *_: object) -> None:
        return None


def test_missing_scores_are_made_once_and_paired(client: Client, tmp_path: Path) -> None:
    for name in ("P1", "P2"):
        write_mr_series(make_stir(), tmp_path / name, style="siemens", patient_id=name, seed=name)
    (tmp_path / "empty").mkdir()
    studies = [{"participant": name, "visit": "W0", "path": name} for name in ("P1", "P2")]
    write_csv(tmp_path / "studies.csv", [*studies, {"participant": "P3", "visit": "W0", "path": "empty"}])
    request = ValidationRequest([tmp_path / "studies.csv"], [tmp_path / "items.csv"], tmp_path / "scores")
    (tmp_path / "items.csv").write_text("participant,visit,reader,slice_index,joint,item,value\n")
    lines: list[str] = []
    workers = Workers(client)

    material = load_material(request, load_config(), workers, lines.append)

    assert sorted(key.participant for key in material.studies) == ["p1", "p2"]
    assert any("one study, or the folder of its score" in str(query.expected) for query in material.queries)
    rows = [json.loads((folder / "row.json").read_text()) for folder in (tmp_path / "scores" / "studies").iterdir()]
    assert [row["row"]["status"] for row in rows] == ["scored", "scored"]
    assert all(study.acquisition.scanner for study in material.studies.values())
    again = load_material(request, load_config(), workers, lines.append)
    assert again.studies.keys() == material.studies.keys() and workers.asked == 2
    log = [json.loads(line) for line in (tmp_path / "scores" / "batch.log").read_text().splitlines()]
    assert [line["earlier"] for line in log] == [False, False, True, True]
