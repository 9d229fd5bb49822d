"""A small file system of its own, and what is left of it when it is full.

* It is ext4 on a loop device, as on a real disk: what was written may find no place only when it
  is synced. Where no loop device is to be had, it is held in memory; each says which it is.
* Nothing of it outlives the block: the image lies in a folder of its own, and its loop device goes
  when it is unmounted, or when the last that had a file of it open has ended.
"""

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

LEFT_BYTES = 65_536
# Nothing is kept back for root, as which all of this runs. Blocks are as large as on a large disk:
# with smaller ones a full disk kills whoever has SQLite's index of the write-ahead log mapped.
MAKING = ("mkfs.ext4", "-q", "-F", "-m", "0", "-b", "4096")


class NotPossible(Exception):
    """What is missing on this machine, or who may not do it."""


@contextmanager
def small_disk(folder: Path, size_bytes: int) -> Iterator[Path]:
    """At ``folder``, which must be there; other users may enter it."""
    with ExitStack() as stack:
        try:
            stack.enter_context(_on_a_loop_device(folder, size_bytes))
            _say(f"{folder} is ext4 on a loop device")
        except NotPossible as why:
            stack.enter_context(_in_memory(folder, size_bytes))
            _say(f"{folder} is held in memory, for want of a loop device: {why}")
        yield folder


@contextmanager
def _in_memory(folder: Path, size_bytes: int) -> Iterator[None]:
    """Skips the test where this is not possible either."""
    try:
        run("mount", "-t", "tmpfs", "-o", f"size={size_bytes},mode=755", "quorate-test", folder)
    except NotPossible as why:
        pytest.skip(f"only root may mount a small file system: {why}")
    try:
        yield
    finally:
        unmount(folder)


@contextmanager
def _on_a_loop_device(folder: Path, size_bytes: int) -> Iterator[None]:
    with tempfile.TemporaryDirectory(prefix="quorate-disk-") as place:
        image = Path(place) / "image"
        make_image(image, size_bytes)
        mount(image, folder)
        try:
            yield
        finally:
            unmount(folder)


def make_image(image: Path, size_bytes: int) -> None:
    """A file system in a file; raises NotPossible."""
    with image.open("wb") as file:
        file.truncate(size_bytes)
    run(*MAKING, image)


def mount(image: Path, folder: Path) -> None:
    """Raises NotPossible."""
    run("mount", "-t", "ext4", "-o", "loop,errors=remount-ro", image, folder)


def unmount(folder: Path) -> None:
    """At once, for whoever comes later; what is open there stays open until it is closed."""
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


def _say(what: str) -> None:
    """Among what a test printed: of one that fails, or with ``-rP``."""
    sys.stdout.write(f"{what}\n")


def run(*command: str | Path) -> None:
    """Raises NotPossible."""
    try:
        subprocess.run(command, check=True, capture_output=True, text=True)
    except FileNotFoundError as missing:
        raise NotPossible(f"there is no {missing.filename}") from missing
    except subprocess.CalledProcessError as failed:
        raise NotPossible(str(failed.stderr).strip()) from failed


@contextmanager
def filled(folder: Path) -> Iterator[None]:
    """All but LEFT_BYTES of it are taken."""
    ballast = folder / "ballast"
    disk = os.statvfs(folder)
    with ballast.open("wb") as file:
        os.posix_fallocate(file.fileno(), 0, disk.f_bavail * disk.f_frsize - LEFT_BYTES)
    try:
        yield
    finally:
        ballast.unlink()
