"""Inboxes: a whole upload is taken once; a harmful one is refused with a reason, and stops nothing."""

from __future__ import annotations

import os
import shutil
import stat
import zipfile
from pathlib import Path
from typing import Any

import pytest

from sparcc_pipeline.app.nightly.intake import copying
from sparcc_pipeline.app.nightly.intake.copying import RefusedUpload
from sparcc_pipeline.app.nightly.intake.inbox import list_entries, remove, take
from sparcc_pipeline.app.nightly.settings_tables import IntakeSettings

LIMITS = IntakeSettings(max_files=20, max_bytes=2_000_000, max_file_bytes=1_000_000)


@pytest.fixture
def inbox(tmp_path: Path) -> Path:
    folder = tmp_path / "inbox"
    folder.mkdir()
    return folder


def taken(inbox: Path, tmp_path: Path, limits: IntakeSettings = LIMITS) -> list[bytes]:
    """Take the only entry and return the contents of its files."""
    (entry,) = list_entries(inbox, limits.max_files)
    take(entry, tmp_path / "upload", limits)
    return sorted(path.read_bytes() for path in (tmp_path / "upload").rglob("*") if path.is_file())


def refusal(inbox: Path, tmp_path: Path, limits: IntakeSettings = LIMITS) -> str:
    (entry,) = list_entries(inbox, limits.max_files)
    with pytest.raises(RefusedUpload) as refused:
        take(entry, tmp_path / "upload", limits)
    assert sorted(path.name for path in tmp_path.iterdir() if path.name.startswith("upload")) == []
    return str(refused.value.reason)


def make_study(folder: Path) -> None:
    (folder / "张三" / "S1").mkdir(parents=True)
    (folder / "张三" / "S1" / "a.dcm").write_bytes(b"one")
    (folder / "张三" / "S1" / "b").write_bytes(b"two")
    (folder / "张三" / ".DS_Store").write_bytes(b"hidden")


@pytest.mark.parametrize("packed", ["folder", "zip", "zip in a folder"])
def test_a_study_is_taken_without_its_names(inbox: Path, tmp_path: Path, packed: str) -> None:
    if packed == "folder":
        make_study(inbox)
    else:
        make_study(tmp_path / "source")
        (tmp_path / "source" / "张三" / ".DS_Store").unlink()
        place = inbox / "张三" if packed == "zip in a folder" else inbox
        place.mkdir(exist_ok=True)
        shutil.make_archive(str(place / "张三 study"), "zip", tmp_path / "source")

    assert taken(inbox, tmp_path) == [b"one", b"two"]
    names = [str(path.relative_to(tmp_path)) for path in (tmp_path / "upload").rglob("*")]
    assert not any("张三" in name or "S1" in name for name in names)
    modes = {
        stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "upload").rglob("*.dcm") if "zip" not in str(path)
    }
    assert modes <= {0o600}


def test_hidden_and_unfinished_names_are_passed_over(inbox: Path) -> None:
    for name in (".hidden", "study.zip.part", "study.filepart", "~lock", "a.TMP"):
        (inbox / name).write_bytes(b"x")

    assert list_entries(inbox, 10) == []


def test_the_age_of_an_upload_is_that_of_its_last_change_whatever_its_dates(inbox: Path) -> None:
    make_study(inbox)
    file = inbox / "张三" / "S1" / "a.dcm"
    before = list_entries(inbox, 10)[0]
    file.write_bytes(b"more")
    os.utime(file, (0, 0))
    os.utime(inbox / "张三", (0, 0))
    after = list_entries(inbox, 10)[0]

    assert after.changed_at > before.changed_at > 1e9
    assert after.mark != before.mark


def test_links_are_refused_wherever_they_are(inbox: Path, tmp_path: Path) -> None:
    (tmp_path / "secret").mkdir()
    (tmp_path / "secret" / "key").write_bytes(b"secret")
    for place, target in (("x", "secret"), ("x/l", "secret"), ("x/l", "secret/key"), ("x/pipe", "")):
        (inbox / place).parent.mkdir(exist_ok=True)
        if target:
            (inbox / place).symlink_to(tmp_path / target)
        else:
            os.mkfifo(inbox / place)
        assert "link" in refusal(inbox, tmp_path)
        remove(list_entries(inbox, 10)[0])

    assert (tmp_path / "secret" / "key").read_bytes() == b"secret"


def pack(inbox: Path, entries: dict[str, bytes], mode: int = 0o100600) -> None:
    with zipfile.ZipFile(inbox / "x.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in entries.items():
            info = zipfile.ZipInfo(name)
            info.external_attr = mode << 16
            archive.writestr(info, content, zipfile.ZIP_DEFLATED)


@pytest.mark.parametrize("name", ["../evil", "a/../../evil", "/etc/evil", "C:\\evil", "..\\evil"])
def test_names_that_lead_out_are_refused(inbox: Path, tmp_path: Path, name: str) -> None:
    pack(inbox, {name: b"evil", "fine.dcm": b"x"})

    assert "lead out" in refusal(inbox, tmp_path)
    assert list(tmp_path.rglob("*evil*")) == []


def test_a_link_in_a_zip_is_refused(inbox: Path, tmp_path: Path) -> None:
    pack(inbox, {"link": b"/etc/passwd"}, mode=0o120777)

    assert "links" in refusal(inbox, tmp_path)


def test_a_zip_bomb_is_refused_before_it_is_unpacked(inbox: Path, tmp_path: Path) -> None:
    pack(inbox, {"bomb": bytes(50_000_000)})

    assert "GiB" in refusal(inbox, tmp_path)


def test_a_damaged_and_a_locked_zip_are_refused(inbox: Path, tmp_path: Path) -> None:
    pack(inbox, {"a": os.urandom(5000)})
    file = inbox / "x.zip"
    whole = file.read_bytes()
    file.write_bytes(whole[:-2000])
    assert "damaged" in refusal(inbox, tmp_path)

    # The flag of encryption, in the local header and in the directory.
    locked = bytearray(whole)
    locked[6] |= 1
    locked[whole.rfind(b"PK\x01\x02") + 8] |= 1
    file.write_bytes(locked)
    assert "password" in refusal(inbox, tmp_path)


@pytest.mark.parametrize("packed", [False, True])
def test_too_many_files_are_refused(inbox: Path, tmp_path: Path, packed: bool) -> None:
    if packed:
        pack(inbox, {f"{number}": b"x" for number in range(10_000)})
    else:
        (inbox / "x").mkdir()
        for number in range(30):
            (inbox / "x" / str(number)).write_bytes(b"x")

    assert "more than 20 files" in refusal(inbox, tmp_path)


def test_too_much_and_too_deep_is_refused(inbox: Path, tmp_path: Path) -> None:
    (inbox / "large").write_bytes(bytes(1_000_001))
    assert "MiB" in refusal(inbox, tmp_path)
    (inbox / "large").unlink()
    (inbox / "many").mkdir()
    for number in range(3):
        (inbox / "many" / str(number)).write_bytes(bytes(900_000))
    assert "GiB" in refusal(inbox, tmp_path)
    shutil.rmtree(inbox / "many")
    (inbox / "/".join(["d"] * 40)).mkdir(parents=True)
    assert "deeply" in refusal(inbox, tmp_path, LIMITS.model_copy(update={"max_files": 100}))


def test_a_second_attempt_removes_the_remains_of_a_killed_one(inbox: Path, tmp_path: Path) -> None:
    make_study(inbox)
    (tmp_path / "upload.partial").mkdir()
    (tmp_path / "upload.partial" / "half").write_bytes(b"half")

    assert taken(inbox, tmp_path) == [b"one", b"two"]


def test_a_file_that_comes_while_its_folder_is_copied_is_not_lost(
    inbox: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_study(inbox)
    (entry,) = list_entries(inbox, 10)
    late = inbox / "张三" / "late.dcm"
    copy = copying._copy_folder

    def slow(descriptor: int, folder: Path, *others: Any) -> None:
        copy(descriptor, folder, *others)
        late.write_bytes(b"late")

    monkeypatch.setattr(copying, "_copy_folder", slow)
    with pytest.raises(copying.ChangedUpload):
        take(entry, tmp_path / "upload", LIMITS)
    assert not (tmp_path / "upload").exists() and late.read_bytes() == b"late"


def test_what_comes_or_changes_after_the_copy_is_not_removed(inbox: Path, tmp_path: Path) -> None:
    make_study(inbox)
    (inbox / "x.zip").write_bytes(b"first")
    entries = list_entries(inbox, 10)
    for number, entry in enumerate(entries):
        take(entry, tmp_path / f"upload{number}", LIMITS)
    late, changed = inbox / "张三" / "late.dcm", inbox / "张三" / "S1" / "a.dcm"
    late.write_bytes(b"late")
    changed.write_bytes(b"changed")
    (inbox / "new").write_bytes(b"second")
    (inbox / "new").rename(inbox / "x.zip")

    for entry in entries:
        remove(entry)

    left = {path.relative_to(inbox).as_posix(): path.read_bytes() for path in inbox.rglob("*") if path.is_file()}
    assert left.pop("张三/.DS_Store") == b"hidden"
    assert left == {"张三/late.dcm": b"late", "张三/S1/a.dcm": b"changed", "x.zip": b"second"}


def test_hidden_files_are_neither_taken_nor_removed_nor_an_upload_of_their_own(inbox: Path, tmp_path: Path) -> None:
    make_study(inbox)
    (entry,) = list_entries(inbox, 10)

    take(entry, tmp_path / "upload", LIMITS)
    remove(entry)

    assert [path.read_bytes() for path in inbox.rglob("*") if path.is_file()] == [b"hidden"]
    assert list_entries(inbox, 10) == []
