"""Mutated images of every transfer syntax, each through the reader of the intake: `python -m tests.soak.mutations`.

No image may end this process, fill its memory, or take longer than the limit. Prints a table; exits with 1 if one did.
"""

from __future__ import annotations

import argparse
import random
import re
import resource
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from sparcc_pipeline.dicom.deidentify.incoming import content_digest, read_incoming
from sparcc_pipeline.dicom.guard.child import SECONDS, run_guarded
from sparcc_pipeline.dicom.input.discover import discover
from sparcc_pipeline.errors import FileFaultError
from tests.app.nightly.intake.intake_night import write_study
from tests.dicom.hostile import JPEG_2000, JPEG_LS, LOSSLESS, RLE, compress, deflate

FORMATS: Final[dict[str, Callable[[Path], None]]] = {
    "file meta": lambda path: None,
    "explicit": lambda path: None,
    "deflated": lambda path: deflate(path, lambda packed: packed),
    "rle": lambda path: compress(path, RLE),
    "jpeg lossless": lambda path: compress(path, LOSSLESS),
    "jpeg-ls": lambda path: compress(path, JPEG_LS),
    "jpeg 2000": lambda path: compress(path, JPEG_2000),
}
META: Final = (400,)
ANYWHERE: Final = (400, 2500, 2**31)
"""Bytes from the start of a file in which it is changed: the file meta information, the headers, all of it."""


ANSWERS: Final = ("read", "no image", "ended its reader")
"""What `read` returns for an image that was foreseen; "ended its reader" is the guard's answer."""


def mutate(content: bytes, chance: random.Random, reach: Sequence[int] = ANYWHERE) -> bytes:
    """Return content with bytes changed, a part cut, doubled or zeroed; mostly near the headers."""
    mutated = bytearray(content)
    for _ in range(chance.choice((1, 1, 2, 8))):
        most = chance.choice(reach)
        at = chance.randrange(min(most, len(mutated)))
        match chance.randrange(4):
            case 0:
                mutated[at] = chance.randrange(256)
            case 1:
                mutated[at : at + 4] = chance.choice((b"\xff\xff\xff\xff", b"\0\0\0\0", b"\xf0\xff\xff\x7f"))
            case 2:
                del mutated[at : at + chance.choice((1, 2, 100))]
            case _:
                mutated[at:at] = mutated[at : at + chance.choice((1, 2, 100))]
    return bytes(mutated)


def read(path: Path) -> str:
    """Return how the intake would see a file."""
    try:
        run_guarded(discover, [path])
        incoming = run_guarded(read_incoming, path)
        if incoming is None:
            return "no image"
        run_guarded(content_digest, path, incoming, b"key")
    except FileFaultError as error:
        kind = re.search(r"\((.*, line \d+)\)", str(error))
        return "ended its reader" if kind is None else f"unforeseen {kind[1]}"
    return "read"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--each", type=int, default=1000, help="images of each format")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    chance, slow = random.Random(options.seed), 0
    with tempfile.TemporaryDirectory() as folder:
        source = sorted(write_study(Path(folder) / "study").iterdir())[3]
        for name, prepare in FORMATS.items():
            sound, mutated = Path(folder) / "sound.dcm", Path(folder) / "mutated.dcm"
            shutil.copy(source, sound)
            prepare(sound)
            found: Counter[str] = Counter()
            longest = 0.0
            for _ in range(options.each):
                mutated.write_bytes(mutate(sound.read_bytes(), chance, META if name == "file meta" else ANYWHERE))
                begun = time.monotonic()
                found[read(mutated)] += 1
                longest = max(longest, time.monotonic() - begun)
            slow += longest > SECONDS + 10
            peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
            print(f"{name}: {dict(sorted(found.items()))}, longest {longest:.1f} s, peak here {peak} MB", flush=True)
    return 1 if slow else 0


if __name__ == "__main__":
    sys.exit(main())
