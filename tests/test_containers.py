"""Dockerfile and compose file agree with the repository, the program and its settings (no container engine needed)."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
import tomllib
from fnmatch import fnmatch
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from sparcc_pipeline.app.nightly.settings import load_settings as load_night
from sparcc_pipeline.app.reader.settings import load_settings as load_reader

from .commands import unknown_part

REPOSITORY: Final = Path(__file__).resolve().parents[1]
OWN_IMAGE: Final = "sparcc-pipeline"
PDF_LIBRARIES: Final = re.compile(r'packages="([^"]+)"')


def instructions(dockerfile: str) -> list[tuple[str, str]]:
    """Return the instructions of a Dockerfile, continued lines joined, comments left out."""
    lines = [line for line in dockerfile.splitlines() if not line.lstrip().startswith("#")]
    joined = "\n".join(lines).replace("\\\n", " ")
    return [(word, rest.strip()) for word, _, rest in (line.partition(" ") for line in joined.splitlines()) if word]


def faults_of_dockerfile(repository: Path) -> list[str]:
    """Return what a Dockerfile copies that does not exist or is ignored, and what it must not do."""
    found = instructions((repository / "Dockerfile").read_text())
    allowed = [
        line.removeprefix("!") for line in (repository / ".dockerignore").read_text().splitlines() if line[:1] == "!"
    ]
    faults = []
    for source in (word for name, rest in found if name == "COPY" for word in rest.split()[:-1]):
        if not (repository / source).exists():
            faults.append(f"COPY {source}: expected a file of the repository, found none")
        if not any(fnmatch(source, pattern) for pattern in allowed):
            faults.append(f"COPY {source}: expected it in .dockerignore, after `!`")
    users = [rest for name, rest in found if name == "USER"]
    if not users or users[-1] in {"0", "root"}:
        faults.append("USER: expected a user other than root")
    return faults


def faults_of_compose(compose: dict[str, Any], repository: Path) -> list[str]:
    """Return commands, mounts, volumes and profiles of a compose file that do not fit."""
    faults = []
    for name, service in compose["services"].items():
        if not service.get("profiles"):
            faults.append(f"{name}: expected a profile: nothing starts without being asked for")
        if service["image"] == OWN_IMAGE:
            words = [*service.get("entrypoint", ["sparcc"]), *service.get("command", [])]
            if (unknown := unknown_part(shlex.join(words))) is not None:
                faults.append(f"{name}: expected a command of sparcc, found {unknown!r}")
        elif not re.search(r":\d", service["image"]):
            faults.append(f"{name}: expected an image with a version, found {service['image']}")
        for mount in service.get("volumes", []):
            source = re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", mount).split(":")[0]
            if source.startswith("."):
                if not (repository / source).exists():
                    faults.append(f"{name}: expected {source} in the repository, found nothing")
            elif source not in compose["volumes"]:
                faults.append(f"{name}: expected the volume {source} below `volumes`")
        faults += [
            f"{name}: expected a service, found {other}"
            for other in service.get("depends_on", [])
            if other not in compose["services"]
        ]
    return faults


@pytest.fixture
def compose() -> dict[str, Any]:
    """The compose file, its anchors resolved."""
    content: dict[str, Any] = yaml.safe_load((REPOSITORY / "compose.yaml").read_text())
    return content


def published(service: dict[str, Any]) -> list[str]:
    """Return the ports that a service listens on behind its published ones."""
    return [port.rsplit(":", 1)[1] for port in service.get("ports", [])]


def test_the_dockerfile_fits_the_repository() -> None:
    assert faults_of_dockerfile(REPOSITORY) == []


def test_the_dockerfile_passes_hadolint() -> None:
    linter = Path(sys.executable).with_name("hadolint")
    assert linter.exists(), "expected hadolint beside Python, found none; install the extra `test`"
    linted = subprocess.run([linter, REPOSITORY / "Dockerfile"], capture_output=True, text=True, check=False)

    assert linted.returncode == 0, linted.stdout


def test_the_image_has_python_extras_and_libraries_of_the_project() -> None:
    found = instructions((REPOSITORY / "Dockerfile").read_text())
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
    (base,) = [rest for name, rest in found if name == "FROM"]
    version = re.search(r"python:(\d+)\.(\d+)", base)
    commands = " ".join(rest for name, rest in found if name == "RUN")
    extras = re.search(r"pip install .*\.\[([\w,]+)\]", commands)
    libraries = PDF_LIBRARIES.search((REPOSITORY / "scripts" / "environment.sh").read_text())

    assert version is not None and (int(version[1]), int(version[2])) >= (3, 11)
    assert extras is not None and set(extras[1].split(",")) <= set(project["optional-dependencies"])
    assert libraries is not None and set(libraries[1].split()) <= set(commands.split())
    assert ("ENTRYPOINT", '["sparcc"]') in found


def test_the_compose_file_fits_program_and_repository(compose: dict[str, Any]) -> None:
    assert faults_of_compose(compose, REPOSITORY) == []


def test_the_night_fits_its_settings(compose: dict[str, Any]) -> None:
    settings = load_night(REPOSITORY / "containers" / "nightly.toml")
    services = compose["services"]
    orthanc = json.loads((REPOSITORY / "containers" / "orthanc.json").read_text())
    postgres = services["postgres"]["environment"]
    mounted = {mount.split(":")[1] for mount in services["nightly"]["volumes"]}
    made = " ".join(rest for name, rest in instructions((REPOSITORY / "Dockerfile").read_text()) if name == "RUN")

    assert services["receiver"]["volumes"] == services["nightly"]["volumes"]
    assert published(services["receiver"]) == [str(settings.receive.port)]
    assert settings.receive.host == "0.0.0.0"
    assert settings.deliver.pacs == f"{orthanc['DicomAet']}@orthanc:{orthanc['DicomPort']}"
    assert (
        settings.database_url == f"postgresql+psycopg://{postgres['POSTGRES_USER']}@postgres/{postgres['POSTGRES_DB']}"
    )
    assert services["nightly"]["environment"]["PGPASSWORD"] == postgres["POSTGRES_PASSWORD"]
    for place in (settings.paths.identity_folder, settings.paths.work_folder, settings.site[0].inbox):
        assert str(place) in made.split()
        assert any(Path(mount) in (place, *Path(str(place)).parents) for mount in mounted if mount != "/")


def test_the_reading_page_fits_its_settings(compose: dict[str, Any]) -> None:
    settings = load_reader(REPOSITORY / "containers" / "reader.toml")
    services = compose["services"]
    proxy = (REPOSITORY / "containers" / "Caddyfile").read_text()

    assert settings.server.https and settings.server.host == "0.0.0.0"
    assert f"reverse_proxy reader:{settings.server.port}" in proxy
    assert f"localhost:{published(services['proxy'])[0]} " in proxy
    assert "ports" not in services["reader"]
    assert f"reading:{settings.store_folder}" in services["reader"]["volumes"]


def test_ports_are_published_on_loopback(compose: dict[str, Any]) -> None:
    ports = [port for service in compose["services"].values() for port in service.get("ports", [])]

    assert ports and all("127.0.0.1" in port for port in ports)


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        ("COPY absent ./\nUSER 1", "absent: expected a file"),
        ("COPY docs ./\nUSER 1", "docs: expected it in"),
        ("", "USER"),
    ],
)
def test_a_fault_of_a_dockerfile_is_found(tmp_path: Path, line: str, fault: str) -> None:
    (tmp_path / "docs").mkdir()
    (tmp_path / ".dockerignore").write_text("*\n!models\n")
    (tmp_path / "Dockerfile").write_text(f"FROM python:3.12\n{line}\n")

    assert any(fault in found for found in faults_of_dockerfile(tmp_path))


@pytest.mark.parametrize(
    ("service", "change", "fault"),
    [
        ("receiver", {"command": ["recieve"]}, "found 'recieve'"),
        ("nightly", {"command": ["nightly", "watch", "--confg", "x"]}, "found '--confg'"),
        ("reader", {"volumes": ["./containers/absent.toml:/settings/reader.toml"]}, "absent.toml"),
        ("orthanc", {"volumes": ["absent:/var/lib/orthanc/db"]}, "the volume absent"),
        ("postgres", {"image": "postgres"}, "an image with a version"),
        ("score", {"profiles": []}, "expected a profile"),
        ("proxy", {"depends_on": ["absent"]}, "expected a service"),
    ],
)
def test_a_fault_of_a_compose_file_is_found(
    compose: dict[str, Any], service: str, change: dict[str, Any], fault: str
) -> None:
    compose["services"][service] = {**compose["services"][service], **change}

    assert [found for found in faults_of_compose(compose, REPOSITORY) if fault in found]
