"""A PostgreSQL cluster of our own for tests: a socket below a temporary folder, no port, no disk safety."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import make_url

POSTGRES_BIN = Path("/usr/lib/postgresql/15/bin")
POSTGRES_USER = "postgres"


def missing() -> str | None:
    """Why there can be no cluster here; None: there can."""
    if not (POSTGRES_BIN / "initdb").is_file():
        return f"needs PostgreSQL in {POSTGRES_BIN} (Debian package postgresql-15)"
    try:
        import psycopg  # noqa: F401
    except ImportError:
        return "needs the extra `postgres`"
    return None


class Cluster:
    """A running cluster."""

    def __init__(self, folder: Path) -> None:
        self.folder, self._made = folder, 0

    def url(self, template: str = "template1") -> str:
        """A new database, empty or a copy of another one."""
        self._made += 1
        name = f"ledger_{self._made}"
        self._tell(f"CREATE DATABASE {name} TEMPLATE {template} STRATEGY FILE_COPY")
        return f"postgresql+psycopg://{POSTGRES_USER}@/{name}?host={self.folder}"

    def drop(self, url: str) -> None:
        """Remove a database: each has hundreds of files."""
        self._tell(f"DROP DATABASE {make_url(url).database} WITH (FORCE)")

    def _tell(self, statement: str) -> None:
        import psycopg

        with psycopg.connect(host=str(self.folder), user=POSTGRES_USER, dbname="postgres", autocommit=True) as server:
            server.execute(statement.encode())

    def start(self) -> None:
        settings = {
            "listen_addresses": "",
            "unix_socket_directories": self.folder,
            "fsync": "off",
            "full_page_writes": "off",
            "autovacuum": "off",
            "max_connections": 50,
        }
        options = " ".join(f"-c {name}={value}" for name, value in settings.items())
        data, log = str(self.folder / "data"), str(self.folder / "log")
        self.run("pg_ctl", "-D", data, "-w", "-s", "-l", log, "-o", options, "start")

    def stop(self) -> None:
        self.run("pg_ctl", "-D", str(self.folder / "data"), "-w", "-s", "-m", "immediate", "stop")

    def run(self, program: str, *arguments: str) -> None:
        """Run a program of PostgreSQL; its servers refuse to be root."""
        as_user = ["setpriv", f"--reuid={POSTGRES_USER}", f"--regid={POSTGRES_USER}", "--clear-groups"]
        command = [*(as_user if os.geteuid() == 0 else []), str(POSTGRES_BIN / program), *arguments]
        subprocess.run(command, check=True, cwd="/", stdout=subprocess.DEVNULL, env={**os.environ, "LC_ALL": "C"})


@contextmanager
def postgres_cluster() -> Iterator[Cluster]:
    """A cluster that is removed when the context ends."""
    # Not below pytest's folder: that may be entered by its owner only, and a socket's path must be short.
    folder = Path(tempfile.mkdtemp(prefix="sparcc-pg-"))
    try:
        if os.geteuid() == 0:
            user = pwd.getpwnam(POSTGRES_USER)
            os.chown(folder, user.pw_uid, user.pw_gid)
        cluster = Cluster(folder)
        cluster.run(
            "initdb",
            "-D",
            str(folder / "data"),
            "-U",
            POSTGRES_USER,
            "--auth=trust",
            "--encoding=UTF8",
            "--no-sync",
            "--no-instructions",
        )
        cluster.start()
        try:
            yield cluster
        finally:
            cluster.stop()
    finally:
        shutil.rmtree(folder, ignore_errors=True)
