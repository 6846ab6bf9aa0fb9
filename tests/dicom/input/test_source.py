"""Sources of every form, and archives that must not be unpacked."""

from __future__ import annotations

import os
import shutil
import stat
import tempfile
import zipfile
from pathlib import Path

import pydicom
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparcc_pipeline.dicom.input.discover import discover
from sparcc_pipeline.dicom.input.files import archive as source_module
from sparcc_pipeline.dicom.input.source import open_source
from sparcc_pipeline.errors import OutputError, SeriesNotFoundError, UnreadablePixelsError, UnsafeArchiveError


def zipped(series: Path, archive: Path, prefix: str = "study/1/") -> Path:
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as opened:
        for path in sorted(series.iterdir()):
            opened.write(path, prefix + path.name)
    return archive


def slices(source: Path) -> int:
    with open_source(source) as files:
        return sum(s.stack.slices for s in discover(files).series)


def test_a_folder_of_any_depth(series: Path, tmp_path: Path) -> None:
    deep = tmp_path / "x" / "y.z" / "ä b"
    shutil.copytree(series, deep)
    assert slices(tmp_path / "x") == 8


def test_links_that_go_in_circles_end(series: Path) -> None:
    (series / "loop").symlink_to(series, target_is_directory=True)
    (series / "broken").symlink_to(series / "nowhere")
    os.mkfifo(series / "pipe")
    assert slices(series) == 8


def test_a_folder_that_cannot_be_listed_is_not_passed_over(series: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copytree(series, series / "more")
    scandir = os.scandir

    def refuse_more(path: str) -> object:
        if Path(path).name == "more":
            raise PermissionError(13, "Permission denied")
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse_more)
    with pytest.raises(UnreadablePixelsError, match="permission denied"), open_source(series):
        pass


def test_an_archive_without_room_to_unpack_is_no_fault_of_the_study(
    series: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive = zipped(series, tmp_path / "study.zip")
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "gone"))

    with pytest.raises(OutputError, match="TMPDIR"), open_source(archive):
        pass


def test_a_disc_that_fills_up_while_unpacking_is_no_fault_of_the_study(
    series: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(source_module, "_copy", full)
    with pytest.raises(OutputError, match="no space left"), open_source(zipped(series, tmp_path / "study.zip")):
        pass


def test_a_single_file(series: Path) -> None:
    assert slices(next(series.iterdir())) == 1


def test_a_text_file_is_a_candidate(tmp_path: Path) -> None:
    text = tmp_path / "notes.txt"
    text.write_text("no image")
    with open_source(text) as files:
        assert files == [text]


def test_nothing_there(tmp_path: Path) -> None:
    with pytest.raises(SeriesNotFoundError, match="nothing at 'gone'"), open_source(tmp_path / "gone"):
        pass


def test_a_zip_is_unpacked_and_removed_again(series: Path, tmp_path: Path) -> None:
    archive = zipped(series, tmp_path / "study.anything")
    with open_source(archive) as files:
        assert len(files) == 8
        assert sum(s.stack.slices for s in discover(files).series) == 8
    assert not any(path.exists() for path in files)


def test_a_zip_is_removed_after_an_error(series: Path, tmp_path: Path) -> None:
    kept: list[Path] = []
    with pytest.raises(RuntimeError, match="stop"), open_source(zipped(series, tmp_path / "a.zip")) as files:
        kept += files
        raise RuntimeError("stop")
    assert kept and not any(path.exists() for path in kept)


def test_equal_and_odd_names_in_a_zip(series: Path, tmp_path: Path) -> None:
    archive = tmp_path / "a.zip"
    with zipfile.ZipFile(archive, "w") as opened:
        for index, path in enumerate(sorted(series.iterdir())):
            # Separators of two systems, and names that differ only beyond what a file system can hold.
            opened.writestr(f"IMAGES\\{'n' * 300}{index}" if index else "./a//b", path.read_bytes())
    assert slices(archive) == 8


@pytest.mark.parametrize(
    "name", ["../evil", "a/../../evil", "/etc/evil", "..\\evil", "C:\\evil", "C:evil", "\\evil", "a/..", "..", "../"]
)
def test_a_name_outside_the_folder_refuses_the_archive(series: Path, tmp_path: Path, name: str) -> None:
    archive = zipped(series, tmp_path / "evil.zip")
    with zipfile.ZipFile(archive, "a") as opened:
        opened.writestr(zipfile.ZipInfo(name), b"evil")
    before = set(tmp_path.rglob("*"))
    with pytest.raises(UnsafeArchiveError, match="nothing was unpacked"), open_source(archive):
        pass
    assert set(tmp_path.rglob("*")) == before


@given(parts=st.lists(st.sampled_from(["..", ".", "a", "", "b c", "C:"]), min_size=1, max_size=5))
def test_no_name_leaves_the_folder(parts: list[str]) -> None:
    entry = zipfile.ZipInfo("/".join(parts) or "x")
    inside = Path("/box/000001")
    if not source_module._fault(entry):
        assert (inside / source_module._file_name(entry)).resolve().parent in {inside, Path("/box")}


@pytest.mark.parametrize("kind", [stat.S_IFLNK, stat.S_IFIFO, stat.S_IFCHR])
def test_links_and_special_files_refuse_the_archive(tmp_path: Path, kind: int) -> None:
    archive = tmp_path / "link.zip"
    with zipfile.ZipFile(archive, "w") as opened:
        entry = zipfile.ZipInfo("link")
        entry.external_attr = (kind | 0o777) << 16
        opened.writestr(entry, "/etc/passwd")
    with pytest.raises(UnsafeArchiveError), open_source(archive):
        pass


def test_a_bomb_is_refused_before_unpacking(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(source_module, "BOMB_FLOOR_BYTES", 2**20)
    archive = tmp_path / "bomb.zip"
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as opened:
        opened.writestr("zeros", bytes(4 * 2**20))
    with pytest.raises(UnsafeArchiveError, match="200-fold"), open_source(archive):
        pass


def test_an_archive_that_is_too_large_is_refused(series: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(source_module, "MAX_UNPACKED_BYTES", 3000)
    with (
        pytest.raises(UnsafeArchiveError, match="pack only the study"),
        open_source(zipped(series, tmp_path / "a.zip")),
    ):
        pass
    monkeypatch.setattr(source_module, "MAX_ARCHIVE_ENTRIES", 3)
    with pytest.raises(UnsafeArchiveError, match="at most 3 files"), open_source(tmp_path / "a.zip"):
        pass


def test_damaged_and_locked_archives(series: Path, tmp_path: Path) -> None:
    archive = zipped(series, tmp_path / "a.zip")
    data = bytearray(archive.read_bytes())
    (tmp_path / "half.zip").write_bytes(data[: len(data) // 2])
    data[200:260] = b"\xff" * 60
    (tmp_path / "bad.zip").write_bytes(data)
    locked = bytearray(archive.read_bytes())
    for signature, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        place = locked.find(signature)
        locked[place + offset] |= 1
    (tmp_path / "locked.zip").write_bytes(locked)
    for name in ("half.zip", "bad.zip", "locked.zip"):
        with pytest.raises(UnreadablePixelsError, match=name), open_source(tmp_path / name):
            pass


def test_a_dicomdir_and_its_folder(disc: Path) -> None:
    assert slices(disc / "DICOMDIR") == 8
    assert slices(disc) == 8


def test_a_dicomdir_lists_files_that_are_missing(disc: Path) -> None:
    victim = next(p for p in disc.rglob("*") if p.is_file() and p.name != "DICOMDIR")
    victim.unlink()
    with open_source(disc / "DICOMDIR") as files:
        found = discover(files)
    assert found.damaged == (victim.name,) and found.series[0].stack.slices == 7


def test_a_disc_mounted_in_lower_case(disc: Path) -> None:
    lower = disc.parent / "lower"
    for path in disc.rglob("*"):
        if path.is_file():
            target = lower / str(path.relative_to(disc)).lower()
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, target)
    assert slices(lower / "dicomdir") == 8


def test_a_dicomdir_does_not_point_outside_its_disc(disc: Path) -> None:
    secret = disc.parent / "OUTSIDE"
    shutil.copy(next(p for p in disc.rglob("*") if p.is_file()), secret)
    ds = pydicom.dcmread(disc / "DICOMDIR")
    with pydicom.config.disable_value_validation():
        for record in ds.DirectoryRecordSequence:
            if "ReferencedFileID" in record:
                record.ReferencedFileID = ["..", "OUTSIDE"]
        ds.save_as(disc / "DICOMDIR")
    with open_source(disc / "DICOMDIR") as files:
        assert secret not in [f.resolve() for f in files]


def test_a_damaged_dicomdir_gives_the_files_beside_it(disc: Path) -> None:
    path = disc / "DICOMDIR"
    path.write_bytes(path.read_bytes()[:500])
    assert slices(path) == 8
