"""The Unix socket of the writer, in a directory that only its owner can enter.

The path of a Unix socket is limited to about 100 bytes, and data directories may be deeper. A
longer path is named through a descriptor of its directory, which Linux makes short.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

PATH_BYTES_MAX = 100
SOCKET_MODE = 0o600


@contextmanager
def short_path(path: Path) -> Iterator[str]:
    """Yield a path of the socket that is short enough, valid inside the block."""
    if len(os.fsencode(path)) <= PATH_BYTES_MAX:
        yield str(path)
        return
    directory = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield f"/proc/self/fd/{directory}/{path.name}"
    finally:
        os.close(directory)
