"""Progress on a terminal."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def progress_display() -> Iterator[Callable[[str], None]]:
    """Show the current step on standard error if that is a terminal."""
    if not sys.stderr.isatty():
        yield lambda _: None
        return
    from rich.console import Console
    from rich.live import Live
    from rich.spinner import Spinner

    # `Console.status` would skip steps that are shorter than its refresh interval.
    with Live(console=Console(stderr=True), transient=True) as live:
        yield lambda step: live.update(Spinner("dots", f"{step} ..."), refresh=True)
