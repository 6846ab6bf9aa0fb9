"""A protocol with the analysis that docs/trial-analysis.md gives as example."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

from sparcc_pipeline.trial.protocol.definition import Protocol
from sparcc_pipeline.trial.protocol.mapping import protocol_from

from .builders import MADE, content

GUIDE = Path(__file__).resolve().parents[2] / "docs" / "trial-analysis.md"


def analysis_content() -> dict[str, Any]:
    """The shipped protocol with all choices made and the analysis of the document."""
    found = re.search(r"```toml\n(.*?)```", GUIDE.read_text(encoding="utf-8"), re.DOTALL)
    assert found is not None
    return content(**MADE) | tomllib.loads(found[1])


def analysis_protocol(**estimand: Any) -> Protocol:
    """The same protocol with one estimand, the first one with these keys changed, alone as primary."""
    tables = analysis_content()
    first = {**tables["estimands"][0], **estimand}
    tables["estimands"] = [{key: value for key, value in first.items() if value is not None}]
    tables["analysis"]["multiplicity"]["value"] = "one_primary"
    del tables["analysis"]["order"]
    return protocol_from(tables, "test.toml")
