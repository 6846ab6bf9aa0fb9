"""Run a night and kill it, by SIGKILL, before and after each kind of commit and of rename; then run it again.

`python killing.py stub|real FOLDER URL [URL-OF-A-REHEARSAL]`, with URLs of empty ledgers: a program of its own, with
one thread, since each run is a fork. Every run continues where the one before was killed. It is killed at the first
kind of moment at which no run was killed yet, until one run ends. FOLDER/killed has a line for each kill. After each
kill every published folder must be whole.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy.engine.default import DefaultDialect

from sparcc_pipeline.app.ledger.repository import Repository

if TYPE_CHECKING:
    from tests.app.nightly.work.real_night import RealNight
    from tests.app.nightly.work.stub_night import StubNight, is_whole
else:
    from real_night import RealNight  # beside this file, which runs as a program
    from stub_night import StubNight, is_whole


class Killer:
    """Kills this process at the first moment that is not in the list of kills, and adds it to the list."""

    def __init__(self, file: Path, folder: Path) -> None:
        self._file, self._folder = file, folder
        self._killed = set(file.read_text().splitlines()) if file.exists() else set()
        self._events: list[str] = []

    def around(self, what: str, do: Callable[[], Any]) -> Any:
        self._moment(f"before {what}")
        result = do()
        self._moment(f"after {what}")
        return result

    def install(self) -> None:
        """Kill around every commit that writes to the history, and around every rename."""
        record, rename, replace = Repository._record_event, os.rename, os.replace
        commit: Any = DefaultDialect.do_commit

        def recording(repository: Repository, connection: Any, event: str, by: str, **more: Any) -> None:
            of = next(name for name in ("change_id", "version_id", "upload_id") if name in more)
            self._events.append(f"{event} {more.get('from_state')} -> {more.get('to_state')} of {of}")
            record(repository, connection, event, by, **more)

        def committing(dialect: Any, connection: Any) -> None:
            events, self._events = self._events, []
            if events:
                self.around(f"commit {events[-1]}", lambda: commit(dialect, connection))
            else:
                commit(dialect, connection)

        def renaming(do: Any) -> Any:
            def renamed(source: Any, target: Any, **more: Any) -> Any:
                parts = Path(target).relative_to(self._folder).parts
                place = "/".join(parts[:2] if parts[0] == "work" else parts[:1])
                return self.around(f"rename into {place}", lambda: do(source, target, **more))

            return renamed

        Repository._record_event = recording  # type: ignore[method-assign, assignment]
        DefaultDialect.do_commit = committing  # type: ignore[method-assign]
        os.rename, os.replace = renaming(rename), renaming(replace)

    def _moment(self, name: str) -> None:
        if name not in self._killed:
            with self._file.open("a") as killed:
                killed.write(f"{name}\n")
            os.kill(os.getpid(), signal.SIGKILL)


def run(kind: str, folder: Path, url: str) -> None:
    night = StubNight(folder, url) if kind == "stub" else RealNight(folder, url)
    night.until_delivered()
    night.close()


def killed(kind: str, folder: Path, url: str) -> bool:
    """Run once in a process of its own; return True if it was killed."""
    child = os.fork()
    if child == 0:
        try:
            Killer(folder / "killed", folder).install()
            run(kind, folder, url)
            code = 0
        except BaseException as error:
            print(f"{type(error).__name__}: {error}", file=sys.stderr)
            code = 1
        os._exit(code)
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status):
        return True
    if status != 0:
        sys.exit("a run ended with an error")
    return False


def require_whole(work: Path) -> None:
    for folder in (*work.glob("studies/*/*/*/*"), *work.glob("results/*/*/*/*"), *work.glob("changes/*/*/*")):
        assert is_whole(folder), folder


if __name__ == "__main__":
    what, place, database = sys.argv[1], Path(sys.argv[2]), sys.argv[3]
    os.fsync = lambda fd: None  # written data outlives a process; only a power cut needs fsync
    for rehearsal in sys.argv[4:]:
        # Every later run is a fork of a process that has compiled its statements.
        run(what, place / "rehearsal", rehearsal)
    while killed(what, place, database):
        if what == "stub":
            require_whole(place / "work")
