"""A small file system of its own, and what is left of it when it is full."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

CHUNK_BYTES = 4_096
LEFT_BYTES = 65_536


@contextmanager
def small_disk(folder: Path, size_bytes: int) -> Iterator[Path]:
    """At ``folder``, which must be there; other users may enter it."""
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={size_bytes},mode=755", "quorate-test", str(folder)],
        capture_output=True,
        text=True,
        check=False,
    )
    if mounted.returncode != 0:
        pytest.skip(f"only root may mount a small file system: {mounted.stderr.strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


@contextmanager
def filled(folder: Path) -> Iterator[None]:
    """All but LEFT_BYTES of it are taken."""
    ballast = folder / "ballast"
    with ballast.open("wb", buffering=0) as file:
        with suppress(OSError):
            while True:
                file.write(bytes(CHUNK_BYTES))
        file.truncate(max(0, file.tell() - LEFT_BYTES))
    try:
        yield
    finally:
        ballast.unlink()
