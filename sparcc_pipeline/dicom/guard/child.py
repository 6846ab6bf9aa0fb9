"""One long-lived child process that reads files under limits of memory and time: `run_guarded`.

Decoders are written in C, C++ and Rust. A damaged file can abort them, make them loop, or make them ask for all memory,
and none of that is an exception. The child ends instead, and the next call starts another one. Replies are unpickled
with classes of this package and arrays only, so that a decoder that was taken over cannot run code here.
"""

from __future__ import annotations

import atexit
import io
import os
import pickle
import resource
import signal
import subprocess
import sys
import threading
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection, Pipe
from pathlib import Path
from typing import Any, Final, TypeVar, cast

from sparcc_pipeline.errors import FileFaultError, SparccError
from sparcc_pipeline.message import Message

Result = TypeVar("Result")

MEMORY_BYTES: Final = 3 * 2**30
"""Address space of the child. Reading the largest file that an upload may hold takes a third of it."""

SECONDS: Final = 60.0
"""The longest time for one call; an image takes milliseconds, a whole study a second."""

_GRACE_S: Final = 5.0
_LONGEST_REPLY: Final = 2**31 - 1
_START: Final = "import sys; from sparcc_pipeline.dicom.guard.child import serve_calls; serve_calls(int(sys.argv[1]))"
_ONE_THREAD: Final = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
"""Each thread of a numeric library takes address space."""

_PLAIN_CLASSES: Final = frozenset(
    {
        *(("builtins", name) for name in ("set", "frozenset", "complex", "bytearray")),
        *(("numpy", name) for name in ("ndarray", "dtype")),
        *(("numpy._core.multiarray", name) for name in ("_reconstruct", "scalar")),
        ("numpy._core.numeric", "_frombuffer"),
        *((module, "PosixPath") for module in ("pathlib", "pathlib._local")),
    }
)
_in_child = False


@dataclass(frozen=True)
class Fault:
    """An exception of the child that is no `SparccError`: kind and place, never the text, which may quote a header.

    `sound` is True if the child can answer further calls.
    """

    kind: str
    file: str
    line: int
    sound: bool


def run_guarded(function: Callable[..., Result], *args: Any, seconds: float = SECONDS, **named: Any) -> Result:
    """Return `function(*args, **named)`, computed in the child process.

    Parameters
    ----------
    function : a function of this package; it, its arguments and its result can be pickled

    Raises
    ------
    FileFaultError : the child ended, took too long or too much memory, or met an error that nothing foresaw
    SparccError : as `function` raises it
    """
    if _in_child:
        return function(*args, **named)
    with _LOCK:
        return cast(Result, _current_child().call(pickle.dumps((seconds, function, args, named)), seconds))


class _Child:
    """The running process; `call` ends it if it does not answer."""

    def __init__(self) -> None:
        self.owner = os.getpid()
        self._connection, theirs = Pipe()
        paths = os.pathsep.join(path or str(Path.cwd()) for path in sys.path)
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-c", _START, str(theirs.fileno())],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            # Decoders and panics write here, and may quote the file.
            stderr=subprocess.DEVNULL,
            env={**os.environ, **_ONE_THREAD, "PYTHONPATH": paths},
            pass_fds=(theirs.fileno(),),
            # Ctrl-C is for the program, which ends the child.
            start_new_session=True,
        )
        theirs.close()

    @property
    def alive(self) -> bool:
        """True if the process runs, and was started by this process, not by the one that this is a fork of."""
        return self.owner == os.getpid() and not self._connection.closed and self._process.poll() is None

    def call(self, request: bytes, seconds: float) -> Any:
        """Send a call, and return its result or raise its error (see `run_guarded`)."""
        try:
            self._connection.send_bytes(request)
            if not self._connection.poll(seconds + _GRACE_S):
                raise EOFError
            reply = _Replies(io.BytesIO(self._connection.recv_bytes(_LONGEST_REPLY))).load()
        except (OSError, EOFError, pickle.UnpicklingError):
            self.end()
            raise _ended(seconds) from None
        except BaseException:
            # Ctrl-C: the reply that is still to come belongs to no later call.
            self.end()
            raise
        if isinstance(reply, SparccError):
            raise reply
        if isinstance(reply, Fault):
            if not reply.sound:
                self.end()
            raise _fault(reply)
        return reply[0]

    def end(self) -> None:
        """Kill the process."""
        self._connection.close()
        if self.owner == os.getpid():
            self._process.kill()
            self._process.wait()


_LOCK: Final = threading.RLock()
_children: list[_Child] = []


def _current_child() -> _Child:
    """Return the running child of this process; start it if there is none."""
    if _children and not _children[0].alive:
        close_child()
    if not _children:
        _children.append(_Child())
    return _children[0]


@atexit.register
def close_child() -> None:
    """End the child, if there is one; the next call starts another."""
    while _children:
        _children.pop().end()


def _ended(seconds: float) -> FileFaultError:
    return FileFaultError(
        Message(
            "expected a file that can be read in {seconds:g} s and {gib:g} GiB of memory, found one that ends its "
            "reader or takes more; export the images uncompressed and send them again",
            seconds=seconds,
            gib=MEMORY_BYTES / 2**30,
        )
    )


def _fault(fault: Fault) -> FileFaultError:
    return FileFaultError(
        Message(
            "expected a file that can be read, found one that makes its reader fail ({kind} in {file}, line {line}); "
            "send it again, and report it with this line",
            kind=fault.kind,
            file=fault.file,
            line=fault.line,
        )
    )


class _Replies(pickle.Unpickler):
    """Unpickles classes of this package, arrays and plain values; nothing else that a reply may name."""

    def find_class(self, module: str, name: str) -> Any:
        """Return an allowed class.

        Raises
        ------
        pickle.UnpicklingError : any other name
        """
        if (module, name) not in _PLAIN_CLASSES and not module.startswith("sparcc_pipeline."):
            raise pickle.UnpicklingError("not allowed")
        found = super().find_class(module, name)
        if module.startswith("sparcc_pipeline.") and not isinstance(found, type):
            raise pickle.UnpicklingError("not allowed")
        return found


def serve_calls(descriptor: int) -> None:
    """Answer calls until the other side closes the connection: what the child runs."""
    global _in_child
    _in_child = True
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    with Connection(descriptor) as connection:
        while True:
            try:
                request = connection.recv_bytes()
            except (EOFError, OSError):
                return
            connection.send_bytes(pickle.dumps(_reply_to(request)))
            signal.setitimer(signal.ITIMER_REAL, 0)


def _reply_to(request: bytes) -> object:
    """Return the reply to a call: a tuple of its result, its `SparccError`, or a `Fault`."""
    try:
        seconds, function, args, named = pickle.loads(request)
        # The default action of this alarm ends the process even within a decoder, and if the program was killed.
        signal.setitimer(signal.ITIMER_REAL, seconds)
        return (function(*args, **named),)
    except SparccError as error:
        return error
    except BaseException as error:
        # A panic of a decoder in Rust is a BaseException.
        place = traceback.extract_tb(error.__traceback__)[-1]
        sound = isinstance(error, Exception) and not isinstance(error, MemoryError)
        return Fault(type(error).__name__, Path(place.filename).name, place.lineno or 0, sound)
