"""Gates on the documents: links lead somewhere, examples run, commands and options exist, sources are listed."""

from __future__ import annotations

import doctest
import os
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pytest

from .commands import unknown_part

REPOSITORY: Final = Path(__file__).resolve().parents[1]
README_WORDS: Final = 900
"""Words that README.md may have outside its code blocks."""

FENCE: Final = re.compile(r"^```(\w*)\s*$")
LINK: Final = re.compile(r"!?\[(?:[^\[\]]|\[[^\]]*\])*\]\(([^()\s]+)(?:\s+\"[^\"]*\")?\)")
HEADING: Final = re.compile(r"^#{1,6}\s+(.*?)\s*$")
CITED: Final = re.compile(r"\[([A-Z][A-Za-z]+(?:PS3\.\d+|\d{4}[a-z]?))\]")
INLINE_PATH: Final = re.compile(r"`((?:[\w.-]+/)+[\w.-]*\w\.(?:html|js|md|py|toml))`")
INLINE_COMMAND: Final = re.compile(r"`(sparcc [^`]+)`")
HISTORY: Final = ("CHANGELOG.md", "models/sparcc_stir/docs/evaluation.md")
"""Name commands and files of earlier versions; the second is the output of a training."""


@dataclass(frozen=True)
class Block:
    """A code block: its language, the line it begins at (1-based), and its text."""

    language: str
    line: int
    text: str


def _name(path: Path) -> str:
    return str(path.relative_to(REPOSITORY))


def split(text: str) -> tuple[list[tuple[int, str]], list[Block]]:
    """Return the numbered lines outside of code blocks, and the code blocks, of a Markdown text."""
    prose: list[tuple[int, str]] = []
    blocks: list[Block] = []
    opened: Block | None = None
    for number, line in enumerate(text.splitlines(), 1):
        fence = FENCE.match(line.strip())
        if opened is None and fence:
            opened = Block(fence[1], number, "")
        elif opened is None:
            prose.append((number, line))
        elif fence:
            blocks.append(opened)
            opened = None
        else:
            opened = Block(opened.language, opened.line, f"{opened.text}{line}\n")
    return prose, blocks


def anchors(text: str) -> set[str]:
    """Return the anchors that GitHub gives to the headings of a Markdown text."""
    found: Counter[str] = Counter()
    names = set()
    for _, line in split(text)[0]:
        if heading := HEADING.match(line):
            plain = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading[1]).replace("`", "")
            name = re.sub(r"[^\w\- ]", "", plain.lower()).replace(" ", "-")
            names.add(f"{name}-{found[name]}" if found[name] else name)
            found[name] += 1
    return names


def broken_links(file: Path) -> list[str]:
    """Return `file:line` of every relative link that leads to no file or heading."""
    faults = []
    for number, line in split(file.read_text(encoding="utf-8"))[0]:
        for target in LINK.findall(re.sub(r"`[^`]*`", "`code`", line)):
            if re.match(r"[a-z]+:", target):
                continue
            path, _, anchor = target.partition("#")
            there = (file.parent / path).resolve() if path else file
            if not there.exists():
                faults.append(f"{file.name}:{number}: expected a file, found nothing at {target}")
            elif anchor and there.suffix == ".md" and anchor not in anchors(there.read_text(encoding="utf-8")):
                faults.append(f"{file.name}:{number}: expected a heading, found none for {target}")
    return faults


WRITTEN_FOLDERS = frozenset({"runs", "build"})
"""Folders of the checkout that the scripts write and git ignores."""


def missing_paths(file: Path, repository: Path = REPOSITORY) -> list[str]:
    """Return `file:line` of every path in backticks that has a folder and is neither in the repository nor the package.

    Only paths whose first folder exists are looked at: others are results, or files of the user. Folders that programs
    write, as `scripts/demo` does, do not count.
    """
    roots = (file.parent, repository, repository / "sparcc_pipeline")
    return [
        f"{file.name}:{number}: expected a file, found nothing at {path}"
        for number, line in split(file.read_text(encoding="utf-8"))[0]
        for path in INLINE_PATH.findall(line)
        if path.split("/")[0] not in WRITTEN_FOLDERS
        and any((root / path.split("/")[0]).is_dir() for root in roots)
        and not any((root / path).exists() for root in roots)
    ]


def failing_examples(file: Path) -> list[str]:
    """Run the doctests and compile the other Python blocks of a Markdown file; return `file:line` of each fault."""
    faults = []
    names: dict[str, Any] = {}
    for block in split(file.read_text(encoding="utf-8"))[1]:
        place = f"{file.name}:{block.line}"
        if block.language in {"python", "pycon"} and ">>>" in block.text:
            example = doctest.DocTestParser().get_doctest(block.text, names, place, str(file), block.line)
            report: list[str] = []
            runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS)
            if runner.run(example, out=report.append, clear_globs=False).failed:
                faults.append(f"{place}: {' '.join(' '.join(report).split())}")
            names = dict(example.globs)  # a page is one session: later blocks know the names of earlier ones
        elif block.language == "python":
            try:
                compile(block.text, place, "exec")
            except SyntaxError as error:
                faults.append(f"{place}: {error}")
    return faults


def commands_of(text: str) -> Iterator[tuple[int, str]]:
    """Every `sparcc` command of a Markdown text, with its line."""
    prose, blocks = split(text)
    for number, line in prose:
        yield from ((number, command) for command in INLINE_COMMAND.findall(line))
    for block in blocks:
        if block.language in {"", "bash", "console", "sh"}:
            joined = block.text.replace("\\\n", "  ")
            for offset, line in enumerate(joined.splitlines(), 1):
                if found := re.match(r"\s*(?:\$ )?(?:\S+/)?(sparcc .*)", line):
                    yield block.line + offset, found[1]


def unknown_commands(file: Path) -> list[str]:
    """Return `file:line` of every command or option in a Markdown file that `sparcc` does not have."""
    return [
        f"{file.name}:{number}: expected a command of sparcc, found {word!r} in {command!r}"
        for number, command in commands_of(file.read_text(encoding="utf-8"))
        if (word := unknown_part(command)) is not None
    ]


def documents() -> list[Path]:
    """Return every Markdown file of the repository."""
    skipped = {".venv", "build", "node_modules", "runs", ".git"}
    found = (path for path in REPOSITORY.rglob("*.md") if not skipped & set(path.relative_to(REPOSITORY).parts))
    return sorted(
        path for path in found if not any(part.startswith(".") for part in path.relative_to(REPOSITORY).parts)
    )


@pytest.mark.parametrize("file", documents(), ids=_name)
def test_links_lead_somewhere(file: Path) -> None:
    found = broken_links(file)

    assert not found, "\n".join(found)


@pytest.mark.parametrize("file", [file for file in documents() if _name(file) not in HISTORY], ids=_name)
def test_paths_exist(file: Path) -> None:
    found = missing_paths(file)

    assert not found, "\n".join(found)


@pytest.mark.parametrize("file", documents(), ids=_name)
def test_examples_run(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(REPOSITORY)
    found = failing_examples(file)

    assert not found, "\n".join(found)


@pytest.mark.parametrize("file", [file for file in documents() if _name(file) not in HISTORY], ids=_name)
def test_commands_exist(file: Path) -> None:
    found = unknown_commands(file)

    assert not found, "\n".join(found)


def test_the_readme_is_short() -> None:
    prose, _ = split((REPOSITORY / "README.md").read_text(encoding="utf-8"))

    assert len(" ".join(line for _, line in prose).split()) <= README_WORDS


def test_every_document_is_reached_from_the_index() -> None:
    index = (REPOSITORY / "docs" / "index.md").read_text(encoding="utf-8")
    pages = {file.name for file in (REPOSITORY / "docs").glob("*.md")} - {"index.md"}

    assert pages - set(LINK.findall(index)) == set()


def test_cited_sources_are_listed() -> None:
    listed = set(re.findall(r"^\| \[(\S+)\] \|", (REPOSITORY / "docs" / "references.md").read_text("utf-8"), re.M))
    sources = [*(REPOSITORY / "sparcc_pipeline").rglob("*.py"), *documents(), *(REPOSITORY / "configs").rglob("*.toml")]
    missing = [
        f"{_name(file)}: expected a source of docs/references.md, found [{key}]"
        for file in sources
        for key in sorted(set(CITED.findall(file.read_text(encoding="utf-8"))) - listed)
    ]

    assert not missing, "\n".join(missing)


def test_the_tree_of_the_architecture_is_short_and_names_what_exists() -> None:
    text = (REPOSITORY / "docs" / "architecture.md").read_text(encoding="utf-8")
    (tree,) = [block for block in split(text)[1] if block.language == "text" and "sparcc_pipeline/" in block.text]
    lines = tree.text.splitlines()
    folders = {str(p.relative_to(REPOSITORY)) for p in (REPOSITORY / "sparcc_pipeline").rglob("*") if p.is_dir()}
    packages = {folder for folder in folders if (REPOSITORY / folder / "__init__.py").exists()}

    assert len(lines) <= 80
    assert {name for name in packages if not re.search(rf"(?<!\w){Path(name).name}/", tree.text)} == set()


PLANTED_LINKS: Final = [
    ("[page](absent.md)", "expected a file"),
    ("![picture](images/absent.png)", "expected a file"),
    ("[part](#absent)", "expected a heading"),
    ("[part](other.md#absent)", "expected a heading"),
]


@pytest.mark.parametrize(("planted", "fault"), PLANTED_LINKS)
def test_a_broken_link_is_found(tmp_path: Path, planted: str, fault: str) -> None:
    (tmp_path / "other.md").write_text("# Other\n\n## The `depth` rule\n")
    page = tmp_path / "page.md"
    page.write_text("# Page\n\n[good](other.md#the-depth-rule), [too](#page), [net](https://example.org/absent)\n")
    assert broken_links(page) == []

    page.write_text(f"# Page\n\n{planted}\n")

    assert [found.split(": ")[:2] for found in broken_links(page)] == [
        ["page.md:3", next(found.split(": ")[1] for found in broken_links(page) if fault in found)]
    ]


def test_a_path_that_does_not_exist_is_found(tmp_path: Path) -> None:
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "there.md").write_text("")
    page = tmp_path / "page.md"
    page.write_text("`docs/there.md`, `results/score.py`, and\n`docs/absent.md`\n")

    assert missing_paths(page, tmp_path) == ["page.md:2: expected a file, found nothing at docs/absent.md"]


@pytest.mark.parametrize("planted", [">>> 1 + 1\n3", "def f(:"])
def test_a_broken_example_is_found(tmp_path: Path, planted: str) -> None:
    page = tmp_path / "page.md"
    page.write_text("```python\n>>> x = 1\n```\n\n```python\n>>> x + 1\n2\n```\n")
    assert failing_examples(page) == []

    page.write_text(f"```python\n{planted}\n```\n")

    assert len(failing_examples(page)) == 1


@pytest.mark.parametrize(
    "planted",
    ["```sh\nsparcc scoer STUDY\n```", "```console\n$ sparcc score STUDY --uot DIR\n```", "call `sparcc trial absent`"],
)
def test_a_command_that_does_not_exist_is_found(tmp_path: Path, planted: str) -> None:
    page = tmp_path / "page.md"
    page.write_text("```sh\nsparcc score STUDY --out DIR  # well\nsparcc trial demo\n```\n\n`sparcc nightly run`\n")
    assert unknown_commands(page) == []

    page.write_text(planted)

    assert len(unknown_commands(page)) == 1


def test_an_unknown_source_is_found() -> None:
    assert CITED.findall("Source: [Maksymowych2005]; [DicomPS3.5] 6.2, x[Name]") == ["Maksymowych2005", "DicomPS3.5"]


@pytest.mark.parametrize(
    ("planted", "fault"),
    [("", None), ("def f() -> 'Absent':\n    '''Do it.'''\n", "Absent"), ("import absent\n", "absent")],
)
def test_pages_of_the_code_are_built_without_warnings(tmp_path: Path, planted: str, fault: str | None) -> None:
    (tmp_path / "planted_module.py").write_text(f'"""A module."""\n{planted}')
    built = subprocess.run(
        [sys.executable, REPOSITORY / "scripts" / "api_pages", "--out", tmp_path / "api", "planted_module"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )

    assert (built.returncode == 0) is (fault is None), built.stderr
    assert fault is None or fault in built.stderr
