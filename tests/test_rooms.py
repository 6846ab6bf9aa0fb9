"""Gates on the tree: a folder stays small, a package has a name of its own, the formatter decides the layout."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path
from typing import Final

import pytest

REPOSITORY: Final = Path(__file__).resolve().parents[1]

LARGEST_FOLDER: Final = 15
"""Python modules that a folder of the package may hold, `__init__.py` left out."""

LONGEST_MODULE: Final = 300
"""Lines of a module of the package."""

FORMATTER_OFF: Final = tuple("fmt: " + word for word in ("skip", "off"))


def crowded_folders(package: Path) -> list[str]:
    """Return a line for every folder that holds more than `LARGEST_FOLDER` modules."""
    folders = [package, *(folder for folder in package.rglob("*") if folder.is_dir())]
    counts = {folder: sum(file.name != "__init__.py" for file in folder.glob("*.py")) for folder in folders}
    return [
        f"{folder.relative_to(package.parent)}: expected at most {LARGEST_FOLDER} modules, found {count}; split it"
        for folder, count in sorted(counts.items())
        if count > LARGEST_FOLDER
    ]


def repeated_packages(package: Path) -> list[str]:
    """Return a line for every name that two packages share."""
    places: dict[str, list[str]] = defaultdict(list)
    for file in sorted(package.rglob("__init__.py")):
        places[file.parent.name].append(str(file.parent.relative_to(package.parent)))
    return [f"{name}: expected one package, found {', '.join(found)}" for name, found in places.items() if found[1:]]


def hand_formatted(repository: Path, folders: tuple[str, ...] = ("sparcc_pipeline", "tests", "scripts")) -> list[str]:
    """Return `file:line` of every line that switches the formatter off."""
    return [
        f"{file.relative_to(repository)}:{number}: expected no {word!r}; let the formatter decide, split what is long"
        for folder in folders
        for file in sorted((repository / folder).rglob("*.py"))
        for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), 1)
        for word in FORMATTER_OFF
        if word in line
    ]


def long_modules(package: Path) -> list[str]:
    """Return a line for every module of more than `LONGEST_MODULE` lines."""
    lengths = {file: len(file.read_text(encoding="utf-8").splitlines()) for file in sorted(package.rglob("*.py"))}
    return [
        f"{file.relative_to(package.parent)}: expected at most {LONGEST_MODULE} lines, found {length}; split it"
        for file, length in lengths.items()
        if length > LONGEST_MODULE
    ]


def test_no_folder_is_crowded() -> None:
    found = crowded_folders(REPOSITORY / "sparcc_pipeline")

    assert not found, "\n".join(found)


def test_every_package_has_a_name_of_its_own() -> None:
    found = repeated_packages(REPOSITORY / "sparcc_pipeline")

    assert not found, "\n".join(found)


def test_the_formatter_decides() -> None:
    found = hand_formatted(REPOSITORY)

    assert not found, "\n".join(found)


def test_no_module_is_long() -> None:
    found = long_modules(REPOSITORY / "sparcc_pipeline")

    assert not found, "\n".join(found)


@pytest.fixture
def package(tmp_path: Path) -> Path:
    """A small package with two rooms."""
    for room in ("", "one", "two"):
        folder = tmp_path / "sparcc_pipeline" / room
        folder.mkdir()
        (folder / "__init__.py").write_text("")
    return tmp_path / "sparcc_pipeline"


def test_a_crowded_folder_is_found(package: Path) -> None:
    for number in range(LARGEST_FOLDER):
        (package / "one" / f"module_{number}.py").write_text("")
    assert crowded_folders(package) == []

    (package / "one" / "one_more.py").write_text("")

    assert crowded_folders(package) == ["sparcc_pipeline/one: expected at most 15 modules, found 16; split it"]


def test_two_packages_of_one_name_are_found(package: Path) -> None:
    assert repeated_packages(package) == []

    (package / "one" / "two").mkdir()
    (package / "one" / "two" / "__init__.py").write_text("")

    assert repeated_packages(package) == [
        "two: expected one package, found sparcc_pipeline/one/two, sparcc_pipeline/two"
    ]


@pytest.mark.parametrize("word", FORMATTER_OFF)
def test_a_line_that_switches_the_formatter_off_is_found(package: Path, word: str) -> None:
    (package / "one" / "planted.py").write_text(f"x = 1\ny = 2  # {word}\n")

    assert [line.split(": ")[0] for line in hand_formatted(package.parent)] == ["sparcc_pipeline/one/planted.py:2"]


def test_a_long_module_is_found(package: Path) -> None:
    (package / "one" / "planted.py").write_text("x = 1\n" * (LONGEST_MODULE + 1))

    assert long_modules(package) == ["sparcc_pipeline/one/planted.py: expected at most 300 lines, found 301; split it"]
