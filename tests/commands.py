"""Commands of `sparcc` as documents and services write them, compared with the program."""

from __future__ import annotations

import shlex
from typing import Any

import typer

from sparcc_pipeline.app.cli.main import app


def unknown_part(command: str) -> str | None:
    """Return the first word of a `sparcc` command line that the program does not know, or None."""
    known: Any = typer.main.get_command(app)
    lexer = shlex.shlex(command.split(" && ")[0].split(" > ")[0], posix=True, punctuation_chars="|;")
    lexer.whitespace_split, lexer.commenters = True, "#"
    for word in list(lexer)[1:]:
        if set(word) & set("|;…"):
            return None
        if word.startswith("--"):
            options = {name for parameter in known.params for name in (*parameter.opts, *parameter.secondary_opts)}
            if word.split("=")[0] not in options | {"--help"}:
                return word
        elif hasattr(known, "commands") and word != "...":
            if not word.islower():
                return None
            if word not in known.commands:
                # A group that runs without a command has options of its own, which take this word.
                return None if known.invoke_without_command else word
            known = known.commands[word]
    return None
