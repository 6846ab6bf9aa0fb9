"""Gate on the language: the words of `tests/words.toml` occur nowhere in code, messages and documents."""

from __future__ import annotations

import re
import subprocess
import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

import pytest

REPOSITORY: Final = Path(__file__).resolve().parents[1]
LIST: Final = "tests/words.toml"
SUFFIXES: Final = frozenset(
    {"", ".css", ".html", ".js", ".mako", ".md", ".py", ".sh", ".svg", ".toml", ".yaml", ".yml"}
)
"""Text that people read; scripts have no suffix."""
LEFT_OUT: Final = (LIST, "tests/test_words.py", "models/sparcc_stir/")
"""The list, its planted faults, and the output of a training."""


@dataclass(frozen=True)
class Word:
    """A word to avoid: its pattern, and the words of this project."""

    pattern: re.Pattern[str]
    use: str


@dataclass(frozen=True)
class Allowed:
    """A part of a line in which a word of the list is right."""

    file: str
    text: str


@cache
def word_list() -> tuple[tuple[Word, ...], tuple[Allowed, ...]]:
    """Return the words to avoid and the lines where one is right."""
    content = tomllib.loads((REPOSITORY / LIST).read_text(encoding="utf-8"))
    words = tuple(
        Word(re.compile(rf"(?<![a-z])(?:{row['pattern']})(?![a-z])", re.IGNORECASE), row["use"])
        for row in content["word"]
    )
    return words, tuple(Allowed(row["file"], row["text"]) for row in content["exception"])


def as_words(line: str) -> str:
    """Return a line with its identifiers split into words: `layOn` and `lay_on` are "lay On" and "lay on"."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])", " ", line.replace("_", " "))


def forbidden_words(file: str, text: str) -> list[str]:
    """Return `file:line` of every word of the list in a text, with the word to use instead.

    A phrase that begins on one line and ends on the next is found as well.
    """
    words, allowed = word_list()
    lines = text.splitlines()
    found = []
    for number, line in enumerate(lines, 1):
        if any(one.file == file and one.text in line for one in allowed):
            continue
        first = as_words(line).rstrip()
        following = as_words(lines[number]).lstrip(" #*-") if number < len(lines) else ""
        for word in words:
            match = word.pattern.search(f"{first} {following}")
            if match and match.start() < len(first):
                found.append(f"{file}:{number}: expected {word.use!r}, found {match[0]!r}")
    return found


def readable_files() -> list[str]:
    """Return the files of the repository that people read, `LEFT_OUT` excepted."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.splitlines()
    return [file for file in listed if Path(file).suffix in SUFFIXES and not file.startswith(LEFT_OUT)]


def test_no_word_of_the_list_occurs() -> None:
    if not (REPOSITORY / ".git").exists():
        pytest.skip("needs a git checkout: the list of files comes from git")
    found = [
        fault
        for file in readable_files()
        if (REPOSITORY / file).is_file()
        for fault in forbidden_words(file, (REPOSITORY / file).read_text(encoding="utf-8"))
    ]

    assert not found, f"{len(found)} words of {LIST}:\n" + "\n".join(found)


@pytest.mark.parametrize(
    ("planted", "line"),
    [
        ('"""Mend the header."""\n', 1),
        ("x = 1\nraise ValueError(f'the reader was told {x}')\n", 2),
        ("def lay_on_baseline() -> None: ...\n", 1),
        ("class LaidOn: ...\n", 1),
        ("# The follow-up is laid\n# on its baseline.\n", 1),
        ("PERIMETER = 3\n", 1),
        ("<p>The program says so.</p>\n", 1),
    ],
)
def test_a_word_of_the_list_is_found(planted: str, line: int) -> None:
    found = forbidden_words("planted.py", planted)

    assert [fault.split(":")[:2] for fault in found] == [["planted.py", str(line)]]


@pytest.mark.parametrize("text", ["recommended", "amendment", "untold", "a lesion lies one slice behind"])
def test_other_words_pass(text: str) -> None:
    assert forbidden_words("planted.py", text) == []


def test_an_exception_holds_for_its_file_alone() -> None:
    row = "| correct | mend |"

    assert forbidden_words("CONTRIBUTING.md", row) == []
    assert forbidden_words("docs/index.md", row) != []
