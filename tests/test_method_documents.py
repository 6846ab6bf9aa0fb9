"""The tables of the method documents: every row is in a table, every module and name in them exists, every key too."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[1]
DOCS = REPOSITORY / "docs"
PACKAGE = REPOSITORY / "sparcc_pipeline"

DOCUMENTS = {"method.md": "sparcc", "trial-method.md": "trial"}
"""The folder of the modules that each document names without a folder."""

PLACE = re.compile(r"`([\w/]+\.py)`(?:: (`[\w.]+`(?:, `[\w.]+`)*))?")
KEY = re.compile(r"\[([A-Z][A-Za-z.0-9]*\d*)\](?!\()")


def _rows(document: str) -> list[str]:
    return [line for line in (DOCS / document).read_text(encoding="utf-8").splitlines() if line.startswith("|")]


def _names(file: Path) -> set[str]:
    """Names defined in a module, methods as `Class.method`, and fields of classes."""
    found: set[str] = set()
    for node in ast.parse(file.read_text(encoding="utf-8")).body:
        match node:
            case ast.ClassDef(name=name):
                inner = (part for part in node.body)
                found |= {name, *(f"{name}.{part.name}" for part in inner if isinstance(part, ast.FunctionDef))}
                fields = (part.target for part in node.body if isinstance(part, ast.AnnAssign))
                found |= {f"{name}.{field.id}" for field in fields if isinstance(field, ast.Name)}
            case ast.FunctionDef(name=name):
                # A parameter may be named as well.
                found |= {name, *(argument.arg for argument in node.args.args)}
            case ast.AnnAssign(target=ast.Name(id=name)):
                found.add(name)
    return found


def missing_names(document: str, row: str) -> list[str]:
    """Modules and names of the last cell of a row that do not exist."""
    missing = []
    for module, names in PLACE.findall(row.rstrip("| ").rsplit(" | ", 1)[-1]):
        places = (PACKAGE / DOCUMENTS[document] / module, PACKAGE / module)
        file = next((each for each in places if each.is_file()), None)
        if file is None:
            missing.append(module)
        else:
            missing += [name for name in re.findall(r"`([\w.]+)`", names) if name not in _names(file)]
    return missing


@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_module_and_name_exists(document: str) -> None:
    rows = _rows(document)
    assert sum(bool(PLACE.search(row)) for row in rows) > 30
    assert [(row[:40], names) for row in rows if (names := missing_names(document, row))] == []


def test_a_wrong_name_is_found() -> None:
    assert missing_names("method.md", "| Depth | 10 mm | `depth.py`: `depth_point`, `DEEP_MM` |") == ["DEEP_MM"]
    assert missing_names("method.md", "| Depth | 10 mm | `deep.py`: `depth_point` |") == ["deep.py"]


@pytest.mark.parametrize("document", ["method.md", "trial-method.md", "simulation.md"])
def test_every_row_is_in_a_table(document: str) -> None:
    lines = ["", *(DOCS / document).read_text(encoding="utf-8").splitlines()]
    for number, (before, line) in enumerate(zip(lines, lines[1:], strict=False), 1):
        if line.startswith("|") and not before.startswith("|"):
            assert before == "" and re.fullmatch(r"\|( ?-+ ?\|)+", lines[number + 1]), (
                f"{document}:{number}: {line[:60]}"
            )


@pytest.mark.parametrize("document", ["method.md", "trial-method.md", "simulation.md"])
def test_every_source_is_in_the_references(document: str) -> None:
    cited = set(KEY.findall((DOCS / document).read_text(encoding="utf-8"))) - {"D", "R"}
    known = set(KEY.findall((DOCS / "references.md").read_text(encoding="utf-8")))
    assert cited and cited <= known


@pytest.mark.parametrize("folder", ["sparcc", "trial", "simulation"])
def test_every_source_of_the_core_is_in_the_references(folder: str) -> None:
    known = set(KEY.findall((DOCS / "references.md").read_text(encoding="utf-8")))
    for file in (PACKAGE / folder).rglob("*.py"):
        cited = re.findall(r"Sources?[^.:\n]*: (.*)", file.read_text(encoding="utf-8"))
        assert {key for text in cited for key in KEY.findall(text)} <= known, file
