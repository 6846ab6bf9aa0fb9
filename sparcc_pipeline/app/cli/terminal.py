"""Progress on a terminal."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def progress_display() -> Iterator[Callable[[str], None]]:
    """Show the current step on standard error; show nothing when it is piped."""
    if not sys.stderr.isatty():
        yield lambda _: None
        return
    from rich.console import Console
    from rich.live import Live
    from rich.spinner import Spinner

    # Each step is drawn when it begins; `Console.status` would leave out those shorter than its next refresh.
    with Live(console=Console(stderr=True), transient=True) as live:
        yield lambda step: live.update(Spinner("dots", f"{step} ..."), refresh=True)
