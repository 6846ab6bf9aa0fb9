"""`sparcc doctor` with the settings of the night: it reports each fault with its remedy, and changes nothing."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from pynetdicom import AE
from pynetdicom.sop_class import Verification  # type: ignore[attr-defined]
from sqlalchemy import text as sql
from typer.testing import CliRunner

from sparcc_pipeline.app.cli import doctor as plain_doctor
from sparcc_pipeline.app.cli.main import app
from sparcc_pipeline.app.ledger.database import open_database
from sparcc_pipeline.app.ledger.ledger import Ledger
from sparcc_pipeline.app.ledger.states import UploadState
from sparcc_pipeline.app.nightly.doctor.checks import CHECKS, Examined, examine
from sparcc_pipeline.app.nightly.doctor.findings import Level
from sparcc_pipeline.app.nightly.doctor.network import certificate_end
from sparcc_pipeline.app.nightly.intake.identity_store import IdentityStore
from sparcc_pipeline.app.nightly.intake.receiving import serve
from sparcc_pipeline.app.nightly.settings import load_settings
from sparcc_pipeline.dicom.deidentify import border_text
from sparcc_pipeline.errors import ConfigError, OutputError
from sparcc_pipeline.message import Message

MANIFEST = "patient_id,participant,visit\n123,P001,baseline\n"


def free_port() -> int:
    with socket.socket() as opened:
        opened.bind(("127.0.0.1", 0))
        return int(opened.getsockname()[1])


@dataclass
class Installed:
    """A night that is set up right, and ways to set it up wrong."""

    folder: Path
    port: int

    @property
    def file(self) -> Path:
        return self.folder / "nightly.toml"

    def write(self, **tables: str) -> None:
        content = {
            "paths": 'identity_folder = "identity"\nwork_folder = "work"',
            "receive": f"port = {self.port}",
            **tables,
        }
        site = '[[site]]\ncode = "S01"\nname = "One"\nae_title = "ONE"\ninbox = "inbox"\nmanifest = "m.csv"\n'
        tables_text = "".join(f"[{name}]\n{lines}\n" for name, lines in content.items())
        self.file.write_text(tables_text + site)

    def worst(self, check: str) -> tuple[Level, str]:
        """Return the worst finding of one check."""
        found = [finding for name, finding in examine(self.file).findings if name == check]
        order = [Level.OK, Level.WARNING, Level.FAILED]
        worst = max(found, key=lambda finding: order.index(finding.level))
        return worst.level, worst.text


@pytest.fixture
def night(tmp_path: Path) -> Installed:
    found = Installed(tmp_path, free_port())
    found.write()
    (tmp_path / "work").mkdir()
    (tmp_path / "inbox").mkdir()
    (tmp_path / "m.csv").write_text(MANIFEST)
    IdentityStore.open(tmp_path / "identity")
    open_database(load_settings(found.file).database_url).dispose()
    return found


def failed(examined: Examined) -> list[str]:
    return [name for name, finding in examined.findings if finding.level is Level.FAILED]


def test_a_night_that_is_set_up_right_passes_every_check(night: Installed) -> None:
    examined = examine(night.file)

    assert {finding.level for _, finding in examined.findings} == {Level.OK}, examined.findings
    assert examined.error is None
    # Pulls are checked where there are some.
    assert {name for name, _ in examined.findings} == {"night", *(name for name, _ in CHECKS)} - {"pull"}


def test_nothing_is_changed(night: Installed) -> None:
    def state() -> dict[str, tuple[int, int]]:
        # The write-ahead log of SQLite comes and goes with every reader.
        return {
            str(p): (p.stat().st_mode, p.stat().st_size) for p in night.folder.rglob("*") if "sqlite-" not in p.name
        }

    before = state()
    examine(night.file)
    assert state() == before
    for name in ("work", "identity", "inbox"):
        shutil.rmtree(night.folder / name)
    examine(night.file)
    assert {p.name for p in night.folder.iterdir()} == {"nightly.toml", "m.csv"}


def test_settings_that_are_wrong_end_with_code_2_and_one_line(
    night: Installed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(plain_doctor, "_model", lambda: "a model")
    night.write(report="night = 3")

    ended = CliRunner().invoke(app, ["doctor", "--config", str(night.file)])

    assert isinstance(ended.exception, ConfigError) and "report.night" in str(ended.exception)
    assert "night        FAILED:" in ended.output


def test_without_settings_of_the_night_it_is_as_before(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plain_doctor, "_model", lambda: "a model")

    ended = CliRunner().invoke(app, ["doctor"])

    assert ended.exit_code == 0
    checks = [line[:12].strip() for line in ended.output.splitlines()[1:5]]
    assert checks == ["dependencies", "settings", "model", "writing"]


# Places


def test_an_identity_folder_or_key_that_others_may_read(night: Installed) -> None:
    (night.folder / "identity/key").chmod(0o644)
    text = f"{night.folder}/identity/key may be read by others (mode 644); run chmod 600 on it"
    assert night.worst("identity") == (Level.FAILED, text)
    (night.folder / "identity").chmod(0o750)
    level, text = night.worst("identity")
    assert level is Level.FAILED and "chmod 700" in text


def test_a_missing_key(night: Installed) -> None:
    IdentityStore.open(night.folder / "identity")
    (night.folder / "identity/identity.sqlite").touch(mode=0o600)
    (night.folder / "identity/key").unlink()

    level, text = night.worst("identity")

    assert level is Level.FAILED and "put it back" in text


def test_little_room_and_no_room(night: Installed, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.statvfs(night.folder)

    def with_room(blocks: int, inodes: int) -> None:
        sizes = list(real)
        sizes[0] = sizes[1] = 4096
        sizes[4], sizes[5], sizes[7] = blocks, max(inodes, 1), inodes
        monkeypatch.setattr(os, "statvfs", lambda _: os.statvfs_result(sizes))

    cases = [
        (10**8, 10**7, Level.OK),
        (10**6, 10**7, Level.WARNING),
        (10**8, 9999, Level.WARNING),
        (100, 10**7, Level.FAILED),
        (10**8, 0, Level.FAILED),
    ]
    for blocks, inodes, level in cases:
        with_room(blocks, inodes)
        assert night.worst("disk")[0] is level, (blocks, inodes)
    # A full disk is no wrong setting: another attempt may succeed.
    assert isinstance(examine(night.file).error, OutputError)


def test_inboxes_and_manifests_that_are_missing_or_open_to_all(night: Installed) -> None:
    (night.folder / "inbox").chmod(0o777)
    assert night.worst("inboxes")[0] is Level.WARNING
    (night.folder / "inbox").rmdir()
    assert night.worst("inboxes")[0] is Level.FAILED
    (night.folder / "elsewhere").mkdir()
    (night.folder / "inbox").symlink_to(night.folder / "elsewhere")
    assert "is a link" in night.worst("inboxes")[1]

    (night.folder / "m.csv").write_text(MANIFEST.partition("\n")[0] + "\n")
    assert night.worst("manifests") == (Level.WARNING, "S01: no row, so every study will be quarantined")
    (night.folder / "m.csv").write_text("name,born\nZhang,1980\n")
    level, text = night.worst("manifests")
    assert level is Level.FAILED and "Zhang" not in text


def test_a_database_that_is_newer_old_damaged_or_away(night: Installed) -> None:
    engine = open_database(load_settings(night.file).database_url)
    with engine.begin() as connection:
        connection.execute(sql("UPDATE alembic_version SET version_num = '9999'"))
    assert night.worst("database")[0] is Level.FAILED and "newer program" in night.worst("database")[1]
    with engine.begin() as connection:
        connection.execute(sql("DELETE FROM alembic_version"))
    assert night.worst("database")[0] is Level.WARNING and "upgrades" in night.worst("database")[1]
    engine.dispose()
    (night.folder / "work/ledger.sqlite").write_bytes(b"no database at all, and long enough to be read as one" * 9)
    assert night.worst("database")[0] is Level.FAILED
    night.write(database=f'url = "postgresql://sparcc:secret@127.0.0.1:{free_port()}/x"')
    level, text = night.worst("database")
    assert level is Level.FAILED and "secret" not in text


def test_a_clock_that_went_back(night: Installed) -> None:
    engine = open_database(load_settings(night.file).database_url)
    Ledger(engine, lambda: datetime.now(UTC) + timedelta(hours=2), 1.0).record_run("me", {})
    engine.dispose()

    level, text = night.worst("clock")

    assert level is Level.FAILED and "NTP" in text
    night.write(report='time_zone = "Mars/Olympus"')
    assert night.worst("clock")[0] is Level.FAILED and "Mars/Olympus" in night.worst("clock")[1]


# Network


def test_the_dicom_node_is_known_from_another_program_on_its_port(night: Installed) -> None:
    receiver = serve(load_settings(night.file), lambda: datetime.now(UTC), lambda *_, **__: None)
    try:
        assert night.worst("receiver") == (Level.OK, f"127.0.0.1, port {night.port} answers as SPARCC to ONE")
    finally:
        receiver.stop()
    other = AE(ae_title="OTHER")
    other.require_called_aet = True
    other.add_supported_context(Verification)
    server = other.start_server(("127.0.0.1", night.port), block=False)
    assert server is not None
    level, text = night.worst("receiver")
    server.shutdown()
    assert level is Level.FAILED and "not by the DICOM node" in text
    night.write(receive=f'port = {night.port}\nhost = "192.0.2.1"')
    assert "192.0.2.1" in night.worst("receiver")[1]


def test_a_pacs_and_a_mail_server_that_are_down(night: Installed) -> None:
    night.write(
        deliver=f'pacs = "PACS@127.0.0.1:{free_port()}"\nfolder = "out"',
        mail=f'host = "127.0.0.1"\nport = {free_port()}\nsecurity = "none"\nsender = "a@b.c"\nto = ["a@b.c"]',
    )

    examined = examine(night.file)

    assert failed(examined) == ["delivery", "mail"]
    assert "connection refused" in night.worst("delivery")[1] and "connection refused" in night.worst("mail")[1]


def test_a_pacs_without_dicom_results_to_send(night: Installed) -> None:
    night.write(deliver=f'pacs = "http://127.0.0.1:{free_port()}/dicom-web"', run="dicom = false")

    assert any("dicom = false" in finding.text for _, finding in examine(night.file).findings)


def certificate(folder: Path, name: str, days: int) -> tuple[Path, Path]:
    if shutil.which("openssl") is None:
        pytest.skip("needs openssl")
    key, file = folder / f"{name}.key", folder / f"{name}.pem"
    new_key = "-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes"
    command = f"openssl req -x509 {new_key} -keyout {key.name} -days {days} -out {file.name} -subj /CN={name}"
    subprocess.run(command.split(), cwd=folder, check=True, capture_output=True)
    return file, key


def test_a_certificate_is_a_warning_before_it_ends(night: Installed) -> None:
    file, key = certificate(night.folder, "node", 90)
    _, other = certificate(night.folder, "soon", 5)

    assert timedelta(days=89) < certificate_end(file, key) - datetime.now(UTC) < timedelta(days=91)
    with pytest.raises(ConfigError, match="not belonging together"):
        certificate_end(file, other)
    night.write(receive=f'port = {night.port}\ntls_certificate = "soon.pem"\ntls_key = "soon.key"')
    level, text = night.worst("certificate")
    assert level is Level.WARNING and "renew" in text


def test_client_certificates_that_are_bound_to_no_title_are_a_warning(night: Installed) -> None:
    key, certificate = night.folder / "node.key", night.folder / "node.pem"
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "90", "-subj", "/CN=node"]
    subprocess.run([*command, "-keyout", str(key), "-out", str(certificate)], check=True, capture_output=True)
    tls = f'port = {night.port}\ntls_certificate = "{certificate}"\ntls_key = "{key}"'
    night.write(receive=tls)
    assert night.worst("certificate")[0] is Level.OK
    night.write(receive=f'{tls}\ntls_ca = "{certificate}"')

    level, text = night.worst("certificate")

    assert level is Level.WARNING and "no tls_name for S01" in text


def test_uploads_that_wait_are_counted_by_site(night: Installed) -> None:
    engine = open_database(load_settings(night.file).database_url)
    ledger = Ledger(engine, lambda: datetime.now(UTC), 5)
    ledger.defer_upload("inbox-1", "S01", "inbox", Message("waits"))
    assert night.worst("uploads") == (
        Level.OK,
        "S01: 1 received, not sorted into studies; sparcc nightly status shows why",
    )
    ledger.close_upload("inbox-1", UploadState.QUARANTINED, Message("cannot be read"))
    engine.dispose()

    level, text = night.worst("uploads")

    assert level is Level.WARNING and text.startswith("S01: 1 quarantined")


def test_the_border_of_images_needs_its_program(night: Installed, monkeypatch: pytest.MonkeyPatch) -> None:
    night.write(intake="read_border = true")
    monkeypatch.setattr(border_text, "PROGRAM", "true")
    assert night.worst("text")[0] is Level.OK
    monkeypatch.setattr(border_text, "PROGRAM", "no-such-program")

    level, text = night.worst("text")

    assert level is Level.FAILED and "tesseract-ocr" in text
