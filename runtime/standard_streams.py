"""Open the standard descriptors that the process was started without.

A program started with ``<&-``, ``>&-`` or ``2>&-`` gets its first files as descriptors 0 to 2. A
message would then be written into such a file, and libuv aborts when it closes one.
"""

import os
import sys
from pathlib import Path

_STANDARD = (0, 1, 2)


def open_missing_streams() -> None:
    """Open the null device for each closed standard descriptor, before any other file is opened."""
    if not any(_is_closed(descriptor) for descriptor in _STANDARD):
        return
    # The lowest free descriptor is used, so each missing one is filled in turn.
    while (opened := os.open(os.devnull, os.O_RDWR)) in _STANDARD:
        os.set_inheritable(opened, True)  # Like every standard descriptor.
    os.close(opened)
    if sys.stdin is None:
        sys.stdin = Path(os.devnull).open(encoding="utf-8")  # noqa: SIM115 - until the end.
    if sys.stdout is None:
        sys.stdout = Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115 - as above.
    if sys.stderr is None:
        sys.stderr = Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115 - as above.


def _is_closed(descriptor: int) -> bool:
    try:
        os.fstat(descriptor)
    except OSError:
        return True
    return False
