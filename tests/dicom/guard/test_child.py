"""The child process that reads files: it ends instead of the program, and the next call has another one."""

from __future__ import annotations

import ctypes
import io
import os
import pickle
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from sparcc_pipeline.dicom.guard import child
from sparcc_pipeline.dicom.guard.child import close_child, run_guarded
from sparcc_pipeline.errors import FileFaultError, UnreadablePixelsError


@pytest.fixture(autouse=True)
def ended() -> Iterator[None]:
    yield
    close_child()


def test_a_result_and_an_error_come_back() -> None:
    assert run_guarded(np.arange, 3).tolist() == [0, 1, 2]
    with pytest.raises(FileFaultError, match="ValueError"):
        run_guarded(int, "not a number, but perhaps a name")
    assert run_guarded(divmod, 7, 2) == (3, 1)


def test_the_text_of_an_error_stays_in_the_child() -> None:
    with pytest.raises(FileFaultError) as fault:
        run_guarded(int, "LI^MEI")
    assert "LI" not in str(fault.value)


def test_one_process_serves_many_calls() -> None:
    assert run_guarded(os.getpid) == run_guarded(os.getpid) != os.getpid()


def test_a_crash_is_an_error_and_the_next_call_has_a_new_process() -> None:
    before = run_guarded(os.getpid)
    with pytest.raises(UnreadablePixelsError, match="ends its reader"):
        run_guarded(os.abort)
    with pytest.raises(FileFaultError):
        run_guarded(ctypes.string_at, 0)
    assert run_guarded(os.getpid) != before


def test_memory_is_limited() -> None:
    with pytest.raises(FileFaultError, match="MemoryError"):
        run_guarded(bytes, child.MEMORY_BYTES)
    assert len(run_guarded(bytes, 100 * 2**20)) == 100 * 2**20


def test_time_is_limited() -> None:
    begun = time.monotonic()
    with pytest.raises(FileFaultError):
        run_guarded(time.sleep, 600, seconds=0.3)
    assert time.monotonic() - begun < 5


def test_a_reply_cannot_run_code(tmp_path: Path) -> None:
    class Harm:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return os.system, (f"touch {tmp_path / 'harm'}",)

    with pytest.raises(pickle.UnpicklingError):
        child._Replies(io.BytesIO(pickle.dumps(Harm()))).load()
    function = pickle.dumps(run_guarded)
    with pytest.raises(pickle.UnpicklingError):
        child._Replies(io.BytesIO(function)).load()
    assert not (tmp_path / "harm").exists()


def test_a_fork_has_a_process_of_its_own() -> None:
    parents = run_guarded(os.getpid)
    forked = os.fork()
    if not forked:
        os._exit(0 if run_guarded(os.getpid) != parents else 1)
    assert os.waitpid(forked, 0)[1] == 0
    assert run_guarded(os.getpid) == parents
