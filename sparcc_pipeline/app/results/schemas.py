"""The published schemas, generated from the types of the documents.

`python -m sparcc_pipeline.app.results.schemas` writes `schema/*.schema.json` again. A test fails where they differ.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

from pydantic import TypeAdapter
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import core_schema

from sparcc_pipeline.app.results.change_document import CHANGE_SCHEMA_FILE
from sparcc_pipeline.app.results.change_types import ChangeDocument
from sparcc_pipeline.app.results.rows import ITEM_COLUMNS, BatchRow
from sparcc_pipeline.app.results.score_document import SCHEMA_FILE
from sparcc_pipeline.app.results.score_types import ScoreDocument
from sparcc_pipeline.app.results.tables import ColumnKind

ROW_SCHEMA_FILE: Final = SCHEMA_FILE.with_name("sparcc-batch-row-1.schema.json")

_SCORE_ID: Final = "urn:sparcc-pipeline:sparcc-score:1"
_DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"

_OF_A_SCORE: Final = ("edema", "intensity", "depth", "total", "evaluable_maximum")
_WHERE_SCORED: Final = {
    **dict.fromkeys(_OF_A_SCORE, {"type": "integer"}),
    "asas_positive": {"type": "boolean"},
    "coverage_mm": {"type": "number"},
    "spacing_mm": {"type": "array"},
    "chosen_by": {"type": "string"},
    "slices": {"minItems": 6, "maxItems": 6},
    "joints": {"minItems": 12, "maxItems": 12},
    "reason": {"type": "null"},
    "reason_kind": {"type": "null"},
    "provenance": {"properties": {"model": {"type": "object"}, "input": {"type": "object"}}},
}
_NULL_WITHOUT_SCORE: Final = (*_OF_A_SCORE, "asas_positive", "coverage_mm", "spacing_mm", "chosen_by")
_WITHOUT_SCORE: Final = {
    **dict.fromkeys((*_NULL_WITHOUT_SCORE, "reference_signal"), {"type": "null"}),
    "slices": {"maxItems": 0},
    "joints": {"maxItems": 0},
    "reason": {"type": "string", "minLength": 1},
    "reason_kind": {"type": "string", "minLength": 1},
}
_WHERE_COMPARED: Final = {
    "reason": {"type": "null"},
    "score": {"properties": {"status": {"const": "scored"}}, "type": "object"},
    "registration": {"type": "object"},
    "matched_slices": {"minItems": 6},
    "change": {"type": "object"},
}
_NOT_COMPARED: Final = {
    "reason": {"type": "string", "minLength": 1},
    **dict.fromkeys(("score", "registration", "change"), {"type": "null"}),
}


class _Published(GenerateJsonSchema):
    """Schemas that allow no further properties and hold no titles and no default values."""

    def field_title_should_be_set(self, schema: Any) -> bool:
        return False

    def default_schema(self, schema: core_schema.WithDefaultSchema) -> JsonSchemaValue:
        return self.generate_inner(schema["schema"])

    def dataclass_schema(self, schema: core_schema.DataclassSchema) -> JsonSchemaValue:
        content = super().dataclass_schema(schema)
        content.pop("title", None)
        # The rest of a docstring is for programmers.
        content["description"] = content["description"].split("\n\n")[0].split(". ")[0].rstrip(".") + "."
        return {**content, "additionalProperties": False}


def score_schema() -> dict[str, Any]:
    """Return the schema of `score.json`."""
    return {
        "$schema": _DIALECT,
        "$id": _SCORE_ID,
        "title": "SPARCC score of one study",
        **_of(ScoreDocument),
        "description": "score.json of sparcc-pipeline. Research use only. Not evaluable is null, never 0.",
        **_if("scored", _WHERE_SCORED, _WITHOUT_SCORE),
    }


def change_schema() -> dict[str, Any]:
    """Return the schema of `change.json`; it refers to that of `score.json`."""
    content = _of(ChangeDocument)
    definitions = content["$defs"]
    follow_up = definitions["FollowUpEntry"]
    follow_up |= _if("compared", _WHERE_COMPARED, _NOT_COMPARED)
    text = json.dumps(content).replace('"#/$defs/ScoreDocument"', f'"{_SCORE_ID}"')
    content = json.loads(text)
    used = _names_used(content, "")
    content["$defs"] = {name: each for name, each in content["$defs"].items() if name in used}
    return {
        "$schema": _DIALECT,
        "$id": "urn:sparcc-pipeline:sparcc-change:1",
        "title": "sparcc-change/1",
        **content,
        "description": "Change of the SPARCC score between a baseline and its follow-ups. Research use only.",
    }


def row_schema() -> dict[str, Any]:
    """Return the schema of a row in `row.json`: one property for each column but `earlier`, and `messages`."""
    content = _of(BatchRow)
    properties = content["properties"]
    for name in ("items", "earlier"):
        properties.pop(name)
    numbers = {ColumnKind.WHOLE: "integer", ColumnKind.NUMBER: "number"}
    properties |= {name: {"type": [numbers[kind], "null"]} for name, kind in ITEM_COLUMNS.items()}
    return {
        "$schema": _DIALECT,
        "$id": "urn:sparcc-pipeline:sparcc-batch-row:1",
        "title": "Row of a batch",
        **content,
        "description": "One row of batch.csv. Research use only. Not evaluable is null, never 0.",
    }


def schema_files() -> dict[Path, str]:
    """Return the text of every published schema file."""
    schemas = {SCHEMA_FILE: score_schema(), CHANGE_SCHEMA_FILE: change_schema(), ROW_SCHEMA_FILE: row_schema()}
    return {file: json.dumps(schema, indent=2) + "\n" for file, schema in schemas.items()}


def _of(document: type) -> dict[str, Any]:
    return TypeAdapter(document).json_schema(schema_generator=_Published)


def _if(status: str, then: dict[str, Any], otherwise: dict[str, Any]) -> dict[str, Any]:
    return {
        "if": {"properties": {"status": {"const": status}}},
        "then": {"properties": then},
        "else": {"properties": otherwise},
    }


def _names_used(content: dict[str, Any], start: str) -> set[str]:
    """Return the names of the definitions that the schema refers to, directly or through others."""
    definitions = content["$defs"]
    waiting = [json.dumps({name: part for name, part in content.items() if name != "$defs"})]
    used: set[str] = set()
    while waiting:
        text = waiting.pop()
        found = {name for name in definitions if f'"#/$defs/{name}"' in text} - used
        used |= found
        waiting += [json.dumps(definitions[name]) for name in found]
    return used


if __name__ == "__main__":
    for file, text in schema_files().items():
        file.write_text(text, encoding="utf-8")
