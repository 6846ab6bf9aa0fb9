"""The output folder appears complete or not at all, and replaces nothing but an earlier result."""

from __future__ import annotations

import json
import os
import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from sparcc_pipeline.app.results.store import ResultFolder
from sparcc_pipeline.app.study.files import PARTIAL_PREFIX, PARTIAL_SUFFIX, write_text
from sparcc_pipeline.errors import OutputError


def _names(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*"))


def _publish(out: Path, total: int, *, force: bool = False) -> None:
    with ResultFolder(out, force=force) as folder:
        write_text(folder.path / "overlay" / "slice_07.png", "picture")
        write_text(folder.path / "score.json", json.dumps({"schema": "sparcc-score/1", "total": total}))
        folder.publish()


def _total(out: Path) -> int:
    return int(json.loads((out / "score.json").read_text())["total"])


@pytest.mark.parametrize("place", ["out", "a/b/c"])
def test_a_published_result_is_all_that_remains(tmp_path: Path, place: str) -> None:
    _publish(tmp_path / place, 3)

    assert _names(tmp_path / place) == ["overlay", "overlay/slice_07.png", "score.json"]
    assert [n for n in _names(tmp_path) if PARTIAL_PREFIX in n] == []


def test_a_result_can_be_read_by_others(tmp_path: Path) -> None:
    mask = os.umask(0o022)
    try:
        _publish(tmp_path / "out", 3)
    finally:
        os.umask(mask)

    assert stat.S_IMODE((tmp_path / "out").stat().st_mode) == 0o755


@pytest.mark.parametrize("place", ["out", "a/b/c"])
def test_without_publish_nothing_remains(tmp_path: Path, place: str) -> None:
    with ResultFolder(tmp_path / place, force=False) as folder:
        write_text(folder.path / "score.json", "{}")

    assert _names(tmp_path) == []


def test_an_error_on_the_way_leaves_an_earlier_result_as_it_was(tmp_path: Path) -> None:
    _publish(tmp_path / "out", 3)
    before = _names(tmp_path)

    with pytest.raises(KeyboardInterrupt), ResultFolder(tmp_path / "out", force=True) as folder:
        write_text(folder.path / "score.json", "{}")
        raise KeyboardInterrupt

    assert _names(tmp_path) == before
    assert _total(tmp_path / "out") == 3


def test_a_killed_run_leaves_only_a_folder_with_a_telling_name(tmp_path: Path) -> None:
    code = (
        "import sys, os, signal; from pathlib import Path\n"
        "from sparcc_pipeline.app.results.store import ResultFolder\n"
        "from sparcc_pipeline.app.study.files import write_text\n"
        "with ResultFolder(Path(sys.argv[1]), force=False) as folder:\n"
        "    write_text(folder.path / 'score.json', '{}')\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    killed = subprocess.run([sys.executable, "-c", code, str(tmp_path / "out")], check=False)

    assert killed.returncode == -signal.SIGKILL
    assert not (tmp_path / "out").exists()
    (left,) = tmp_path.iterdir()
    assert left.name.startswith(PARTIAL_PREFIX)
    assert left.name.endswith(PARTIAL_SUFFIX)
    _publish(tmp_path / "out", 4)
    assert _total(tmp_path / "out") == 4


def test_nothing_is_overwritten_without_force(tmp_path: Path) -> None:
    _publish(tmp_path / "out", 3)

    with pytest.raises(OutputError, match="add --force"):
        _publish(tmp_path / "out", 4)

    assert _total(tmp_path / "out") == 3


def test_force_replaces_an_earlier_result_as_a_whole(tmp_path: Path) -> None:
    _publish(tmp_path / "out", 3)
    (tmp_path / "out" / "overlay" / "slice_09.png").write_text("of the earlier result")

    _publish(tmp_path / "out", 4, force=True)

    assert _total(tmp_path / "out") == 4
    assert _names(tmp_path) == ["out", "out/overlay", "out/overlay/slice_07.png", "out/score.json"]


def test_an_empty_folder_may_be_used(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()

    _publish(tmp_path / "out", 3)

    assert _total(tmp_path / "out") == 3


@pytest.mark.parametrize("foreign", ["thesis.docx", "overlay/notes.txt", "overlay/deeper/slice_07.png", "empty/"])
def test_force_never_replaces_a_folder_with_other_files(tmp_path: Path, foreign: str) -> None:
    _publish(tmp_path / "out", 3)
    strange = tmp_path / "out" / foreign
    strange.parent.mkdir(exist_ok=True)
    if foreign.endswith("/"):
        strange.mkdir()
    else:
        strange.write_text("precious")
    before = _names(tmp_path)

    with pytest.raises(OutputError, match="of other origin") as caught:
        _publish(tmp_path / "out", 4, force=True)

    assert _names(tmp_path) == before
    assert _total(tmp_path / "out") == 3
    assert Path(foreign).name not in str(caught.value)


@pytest.mark.parametrize("content", ["", "[]", '{"schema": "other/1"}', "\x00"])
def test_force_asks_for_a_score_of_ours(tmp_path: Path, content: str) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "score.json").write_text(content)

    with pytest.raises(OutputError, match=r"no score\.json of this program"):
        _publish(out, 4, force=True)

    assert (out / "score.json").read_text() == content


def test_a_file_in_the_place_of_the_folder_is_kept(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("precious")

    for place in (tmp_path / "out", tmp_path / "out" / "below"):
        with pytest.raises(OutputError):
            _publish(place, 3, force=True)

    assert (tmp_path / "out").read_text() == "precious"


def test_a_place_that_cannot_be_written_is_refused_before_the_work(tmp_path: Path) -> None:
    locked = Path("/proc") if os.geteuid() == 0 else tmp_path / "locked"
    if os.geteuid() != 0:
        locked.mkdir(mode=0o555)
    if not locked.is_dir():
        pytest.skip("needs a folder that root cannot write either")

    with (
        pytest.raises(OutputError, match="choose another --out or change its rights"),
        ResultFolder(locked / "out", force=False),
    ):
        pytest.fail("the work began")


def test_a_name_that_no_folder_can_have_is_refused(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="choose another --out"):
        _publish(tmp_path / ("x" * 300), 3)


def test_the_current_folder_is_no_place_for_a_result(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)

    with pytest.raises(OutputError, match="folder of its own"):
        _publish(Path(), 3)


def test_a_link_to_a_folder_stays_a_link(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")

    _publish(tmp_path / "link", 3)

    assert (tmp_path / "link").is_symlink()
    assert _total(tmp_path / "real") == 3


def test_a_failed_move_brings_an_earlier_result_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _publish(tmp_path / "out", 3)
    rename = Path.rename

    def fail_for_the_new_one(self: Path, target: Path) -> Path:
        if self.name == "result":
            raise OSError(28, "No space left on device")
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", fail_for_the_new_one)
    with pytest.raises(OutputError, match="no space left"):
        _publish(tmp_path / "out", 4, force=True)

    assert _total(tmp_path / "out") == 3
