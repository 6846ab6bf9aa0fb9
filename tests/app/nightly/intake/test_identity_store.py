"""The identity folder: its key, its rights, its map."""

from __future__ import annotations

import sqlite3
import stat
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from sparcc_pipeline.app.nightly.intake.identity_map import IdentityMap, Instance
from sparcc_pipeline.app.nightly.intake.identity_store import IdentityStore
from sparcc_pipeline.errors import ConfigError, OutputError

INSTANCE = Instance(
    site="S01",
    upload="dicom-1",
    file="000001.dcm",
    study_key="study",
    instance_key="instance",
    digest="digest",
    study_uid="1.2",
    series_uid="1.3",
    patient_id="4711",
    accession="A1",
    study_date="20260101",
    arrived_at=100.0,
    modality="MR",
)


def test_the_store_is_for_its_owner_only(tmp_path: Path) -> None:
    store = IdentityStore.open(tmp_path / "identity")
    store.identities.add([INSTANCE])

    for path in (store.folder, store.incoming("S01"), *store.folder.rglob("*")):
        assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0, path.name


def test_many_processes_at_once_make_one_key(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        keys = set(pool.map(lambda _: IdentityStore.open(tmp_path / "identity").key, range(16)))

    assert len(keys) == 1 and len(keys.pop()) == 32
    assert list((tmp_path / "identity").glob(".key*")) == []


@pytest.mark.parametrize(("name", "mode"), [("", 0o750), ("", 0o701), ("key", 0o640), ("key", 0o604)])
def test_wider_rights_are_refused(tmp_path: Path, name: str, mode: int) -> None:
    folder = tmp_path / "identity"
    IdentityStore.open(folder)
    (folder / name).chmod(mode)

    with pytest.raises(ConfigError, match="chmod"):
        IdentityStore.open(folder)


def test_a_lost_key_is_not_replaced_by_another(tmp_path: Path) -> None:
    folder = tmp_path / "identity"
    IdentityStore.open(folder)
    (folder / "key").unlink()

    with pytest.raises(ConfigError, match="put the key back"):
        IdentityStore.open(folder)


def test_a_damaged_key_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "identity"
    IdentityStore.open(folder)
    (folder / "key").write_bytes(b"short")

    with pytest.raises(ConfigError, match="32 bytes"):
        IdentityStore.open(folder)


def test_its_repr_shows_no_identity(tmp_path: Path) -> None:
    store = IdentityStore.open(tmp_path / "identity")

    assert store.key.hex() not in repr(store) and repr(store.key) not in repr(store)
    assert not any(word in repr(INSTANCE) for word in ("4711", "A1'", "20260101", "1.2'"))


def test_one_process_takes_in_at_a_time(tmp_path: Path) -> None:
    store = IdentityStore.open(tmp_path / "identity")
    with store.lock() as first, IdentityStore.open(tmp_path / "identity").lock() as second:
        assert (first, second) == (True, False)
    with store.lock() as again:
        assert again


@pytest.fixture
def identities(tmp_path: Path) -> IdentityMap:
    return IdentityMap(tmp_path / "identity.sqlite")


def test_an_image_that_comes_again_later_replaces_the_earlier_one(identities: IdentityMap) -> None:
    again = replace(INSTANCE, upload="dicom-2", digest="other", arrived_at=200.0)
    identities.add([INSTANCE, again])
    identities.add([INSTANCE])

    assert identities.instances("S01", "study") == [again]
    assert identities.uploads("S01", "study") == ["dicom-1", "dicom-2"]


def test_different_images_under_one_uid_in_one_upload_all_stay(identities: IdentityMap) -> None:
    second = replace(INSTANCE, file="000002.dcm", digest="other")
    identities.add([INSTANCE, second])

    assert identities.instances("S01", "study") == [INSTANCE, second]


def test_a_code_leads_back_to_the_person_and_a_new_uid_to_the_old(identities: IdentityMap) -> None:
    identities.remember("S01", "4711", "P01", -500, {"1.2": "2.25.9"})
    identities.remember("S01", "4711", "P01", -500, {"1.2": "2.25.9"})

    assert identities.patients("P01") == [("S01", "4711", -500)]
    assert identities.original_uid("2.25.9") == ("S01", "1.2")
    assert identities.original_uid("2.25.8") is None


def test_a_newer_map_and_a_damaged_one_are_refused(tmp_path: Path, identities: IdentityMap) -> None:
    database = sqlite3.connect(tmp_path / "identity.sqlite")
    database.execute("PRAGMA user_version = 99")
    database.close()
    with pytest.raises(ConfigError, match="newer"):
        IdentityMap(tmp_path / "identity.sqlite")
    (tmp_path / "damaged.sqlite").write_bytes(b"4711" * 500)
    with pytest.raises(OutputError) as refused:
        IdentityMap(tmp_path / "damaged.sqlite")
    assert "4711" not in str(refused.value)
