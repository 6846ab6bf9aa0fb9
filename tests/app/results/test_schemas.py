"""The published schemas are those of the types."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from sparcc_pipeline.app.results import schemas
from sparcc_pipeline.app.results.rows import BATCH_COLUMNS, BatchRow, row_values
from sparcc_pipeline.app.results.score_document import json_text, score_document
from sparcc_pipeline.app.results.score_types import ScoreDocument, score_from_json
from sparcc_pipeline.app.study.images import Request
from sparcc_pipeline.app.study.provenance import Run
from sparcc_pipeline.app.study.score import Scored

from ..documents import as_dict


@pytest.fixture
def score(scored: Scored, run_at: Any) -> ScoreDocument:
    run: Run = run_at(Request())
    return score_document(scored, run)


@pytest.mark.parametrize("file", sorted(schemas.schema_files()), ids=lambda file: file.name)
def test_the_file_is_the_schema_of_the_type(file: Path) -> None:
    assert file.read_text(encoding="utf-8") == schemas.schema_files()[file], (
        "run `python -m sparcc_pipeline.app.results.schemas`"
    )


def test_every_published_schema_is_valid() -> None:
    for text in schemas.schema_files().values():
        jsonschema.Draft202012Validator.check_schema(json.loads(text))


def test_a_field_that_only_the_type_has_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    @dataclass(frozen=True, kw_only=True)
    class Longer(ScoreDocument):
        """A document with one field more."""

        added: int

    monkeypatch.setattr(schemas, "ScoreDocument", Longer)
    differing = [file.name for file, text in schemas.schema_files().items() if file.read_text() != text]
    assert differing == ["sparcc-score-1.schema.json"]


def test_a_document_is_read_back_as_it_was_written(score: ScoreDocument) -> None:
    assert score_from_json(json_text(score)) == score


def test_a_document_of_an_earlier_version_is_read(score: ScoreDocument) -> None:
    older = as_dict(score)
    del older["quality"], older["reference_signal"]["slices"]
    for joint in older["joints"]:
        del joint["marrow_signal"]
    jsonschema.Draft202012Validator(schemas.score_schema()).validate(older)

    read = score_from_json(json.dumps(older))
    assert (read.total, read.quality, read.joints[0].marrow_signal.known) == (score.total, (), [])


@pytest.mark.parametrize("fault", [{"total": 73}, {"total": None}, {"joints": []}, {"schema": "sparcc-score/9"}, None])
def test_what_is_no_score_is_not_read(score: ScoreDocument, fault: dict[str, Any] | None) -> None:
    text = "{" if fault is None else json.dumps(as_dict(score) | fault)
    with pytest.raises(ValueError, match="validation error"):
        score_from_json(text)


def test_points_without_a_score_cannot_be_made(score: ScoreDocument) -> None:
    with pytest.raises(ValueError, match="expected points if and only if"):
        replace(score, status="rejected")


def test_a_row_is_stored_under_the_names_of_its_columns_and_read_back(score: ScoreDocument) -> None:
    row = BatchRow(study="study-1", **row_values(score))
    stored = json.loads(json.dumps(row.to_json()))
    jsonschema.Draft202012Validator(schemas.row_schema()).validate(stored)

    assert set(stored) == {*BATCH_COLUMNS, "messages"} - {"earlier"}
    assert (stored["total"], stored["s1_right_upper_iliac"]) == (4, 1)
    assert BatchRow.from_json(stored) == row
    assert json.dumps(BatchRow.from_json(stored).to_json()) == json.dumps(row.to_json()), "whole numbers stay whole"


def test_what_is_no_row_is_not_read() -> None:
    for content in ({}, {"study": "study-1"}, {"study": "study-1", "status": "scored", "total": "many"}):
        with pytest.raises(ValueError, match="validation error"):
            BatchRow.from_json(content)
