"""The served page: a killed process, PostgreSQL as its database, and the commands."""

from __future__ import annotations

import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from sqlalchemy import text

from sparcc_pipeline.app.cli import main as cli
from sparcc_pipeline.app.reader.cases.importing import import_cases, read_known, read_manifest
from sparcc_pipeline.app.reader.run import run_serve

from ...databases import Cluster
from ..conftest import PASSWORD, SETTINGS, World, build

LESION = [("A", 1, "right", "upper_iliac")]


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


@contextmanager
def served(settings: Path, port: int) -> Iterator[subprocess.Popen[bytes]]:
    """Run `sparcc reader serve` in its own process."""
    code = "from sparcc_pipeline.app.cli.main import main; main()"
    command = [sys.executable, "-c", code, "reader", "serve", "--settings", str(settings)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as process:
        try:
            for _ in range(600):
                try:
                    httpx.get(f"http://127.0.0.1:{port}/login")
                    break
                except httpx.ConnectError:
                    assert process.poll() is None, process.stderr and process.stderr.read()
                    time.sleep(0.1)
            yield process
        finally:
            process.kill()


def sign_in(port: int) -> tuple[httpx.Client, str]:
    """Return a signed-in client and its token."""
    client = httpx.Client(base_url=f"http://127.0.0.1:{port}")
    token = client.get("/login").text.split('name="csrf" content="')[1].split('"')[0]
    assert client.post("/login", data={"csrf": token, "name": "ann", "password": PASSWORD}).status_code == 303
    return client, client.get("/password").text.split('name="csrf" content="')[1].split('"')[0]


def test_a_killed_server_loses_no_confirmed_save(tmp_path: Path, prepared: Path) -> None:
    folder, port = tmp_path / "page", free_port()
    shutil.copytree(prepared, folder)
    settings = folder / "reader.toml"
    settings.write_text(SETTINGS + f"[server]\nport = {port}\n")
    with served(settings, port) as process:
        client, token = sign_in(port)
        code = re.findall(r'href="/case/([^"]*)"', client.get("/worklist").text)[0]
        content = client.get(f"/api/cases/{code}").json()["reading"]["content"]
        confirmed = 0
        for number in range(30):
            content["comment"] = f"comment {number}"
            body = {"revision": number, "content": content}
            answer = client.put(f"/api/cases/{code}/reading", json=body, headers={"X-CSRF-Token": token})
            confirmed = answer.json()["revision"]
        # In the middle of the next save.
        with socket.create_connection(("127.0.0.1", port)) as half:
            half.sendall(
                f"PUT /api/cases/{code}/reading HTTP/1.1\r\nHost: x\r\nContent-Length: 99999\r\n\r\n{{".encode()
            )
            process.send_signal(signal.SIGKILL)
            process.wait()
        client.close()

    with served(settings, port) as process:
        client, _ = sign_in(port)
        reading = client.get(f"/api/cases/{code}").json()["reading"]
        client.close()
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=30) in (0, -signal.SIGTERM)
    assert (reading["revision"], reading["content"]["comment"]) == (confirmed, "comment 29")
    assert run("audit", "verify", "--settings", str(settings)) == 0


def run(*arguments: str) -> int:
    """Return the exit code of `sparcc reader ...`."""
    before = sys.argv
    sys.argv = ["sparcc", "reader", *arguments]
    try:
        cli.main()
    except SystemExit as end:
        return int(end.code or 0)
    finally:
        sys.argv = before
    return 0


@pytest.fixture
def on_postgres(tmp_path: Path, manifest: Path, cluster: Cluster) -> Iterator[World]:
    """A page with one case and a PostgreSQL database."""
    lines = manifest.read_text().splitlines()
    few = manifest.parent / "few.csv"
    few.write_text("\n".join([lines[0], lines[-1]]))
    world = build(tmp_path, few, more=SETTINGS + f'[database]\nurl = "{cluster.url()}"\n')
    yield world
    world.database.engine.dispose()


def test_a_page_on_postgresql_reads_locks_and_verifies(on_postgres: World) -> None:
    ann, ben = on_postgres.browser("ann"), on_postgres.browser("ben")
    for browser in (ann, ben):
        code = browser.first_case()
        browser.read_and_lock(code, LESION)
        assert browser.script("POST", f"/api/cases/{code}/second-opinion").status_code == 200
    assert on_postgres.browser("fay").get("/audit").status_code == 200
    assert on_postgres.browser("dee").get("/coordinator").status_code == 200
    assert on_postgres.database.verify().sound
    with on_postgres.database.reading() as connection:
        assert connection.execute(text("SELECT count(*) FROM reader_readings WHERE state = 'locked'")).scalar_one() == 2


def test_the_commands_from_an_empty_folder_to_an_export(
    tmp_path: Path, manifest: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = tmp_path / "reader.toml"
    settings.write_text(SETTINGS)
    few = manifest.parent / "one.csv"
    few.write_text("\n".join(manifest.read_text().splitlines()[:2]))
    with_settings = ["--settings", str(settings)]

    assert run("import", str(few), *with_settings) == 0
    assert run("user", "add", "ann", "--role", "reader", "--code", "R1", *with_settings) == 0
    assert run("user", "add", "ann", "--role", "reader", "--code", "R2", *with_settings) == 2, "taken"
    assert run("user", "reset", "unknown", *with_settings) == 2
    assert run("assign", "ann", *with_settings) == 0
    assert run("assign", "unknown", *with_settings) == 2
    settings.write_text(SETTINGS.replace("required = false", "required = true"))
    capsys.readouterr()
    assert run("assign", "ann", *with_settings) == 2, "no training set: no case would open"
    assert "sparcc reader import --training" in capsys.readouterr().err.replace("\n", " ")
    settings.write_text(SETTINGS)
    assert run("export", "--out", str(tmp_path / "out"), *with_settings) == 2, "not locked"
    assert run("lock-database", "--reason", "done", *with_settings) == 0
    assert run("lock-database", "--reason", "again", *with_settings) == 2
    assert run("export", "--out", str(tmp_path / "out"), *with_settings) == 0
    assert run("audit", "export", str(tmp_path / "audit.csv"), *with_settings) == 0
    assert run("backup", str(tmp_path / "backup.tar"), *with_settings) == 0
    capsys.readouterr()
    assert run("audit", "verify", *with_settings) == 0
    head = re.findall(r"\d+:[0-9a-f]{64}", capsys.readouterr().out)[0]
    assert run("audit", "verify", "--head", head, *with_settings) == 0
    assert run("audit", "verify", "--head", f"1{head}", *with_settings) == 3
    next((tmp_path / "reader").glob("images/*/view.json")).write_text("{}")
    assert run("audit", "verify", *with_settings) == 3
    assert "were changed" in capsys.readouterr().err

    (tmp_path / "again").mkdir()
    other = tmp_path / "again" / "reader.toml"
    other.write_text(SETTINGS)
    assert run("restore", str(tmp_path / "backup.tar"), "--settings", str(other)) == 0
    assert (tmp_path / "again" / "reader" / "secret.key").stat().st_mode & 0o077 == 0


def test_a_calibration_that_no_reader_can_pass_is_reported_at_once(
    tmp_path: Path,
    manifest: Path,
    training: tuple[Path, Path],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    more = SETTINGS.replace("required = false", "required = true")
    world = build(tmp_path, manifest, more=more)
    monkeypatch.setattr("sparcc_pipeline.app.reader.run.serve", lambda *_: None)
    run_serve(tmp_path / "reader.toml")
    assert "no case would ever open" in capsys.readouterr().err
    assert "no case will open" in world.browser("dee").get("/coordinator").text

    import_cases(world.database, read_manifest(training[0]), known=read_known(training[1]))
    run_serve(tmp_path / "reader.toml")
    assert "no case" not in capsys.readouterr().err
    assert "no case will open" not in world.browser("dee").get("/coordinator").text
    world.database.engine.dispose()
