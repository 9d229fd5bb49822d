"""A small file system that tests can fill.

* It is ext4 on a loop device. As on a real disk, a write may fail for lack of space only at the
  sync. Without loop devices it is a tmpfs; the output of the test states which one is used.
* It is removed at the end of the block. The loop device disappears with the unmount, or when the
  last process with an open file on it has ended.
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
# No blocks are reserved for root, because the tests run as root. The block size is that of a large
# disk: with smaller blocks a full disk kills a process that maps SQLite's write-ahead log index.
MKFS_COMMAND = ("mkfs.ext4", "-q", "-F", "-m", "0", "-b", "4096")


class MountUnavailable(Exception):
    """A program or a permission is missing on this machine."""


@contextmanager
def small_disk(folder: Path, size_bytes: int) -> Iterator[Path]:
    """Mount the disk at the existing ``folder``; other users may enter it."""
    with ExitStack() as stack:
        try:
            stack.enter_context(_loop_device(folder, size_bytes))
            _print_line(f"{folder} is ext4 on a loop device")
        except MountUnavailable as why:
            stack.enter_context(_tmpfs(folder, size_bytes))
            _print_line(f"{folder} is a tmpfs, because no loop device is available: {why}")
        yield folder


@contextmanager
def _tmpfs(folder: Path, size_bytes: int) -> Iterator[None]:
    """Mount a tmpfs, or skip the test."""
    try:
        run("mount", "-t", "tmpfs", "-o", f"size={size_bytes},mode=755", "quorate-test", folder)
    except MountUnavailable as why:
        pytest.skip(f"only root may mount a small file system: {why}")
    try:
        yield
    finally:
        unmount(folder)


@contextmanager
def _loop_device(folder: Path, size_bytes: int) -> Iterator[None]:
    with tempfile.TemporaryDirectory(prefix="quorate-disk-") as image_folder:
        image = Path(image_folder) / "image"
        make_image(image, size_bytes)
        mount(image, folder)
        try:
            yield
        finally:
            unmount(folder)


def make_image(image: Path, size_bytes: int) -> None:
    """Create a file system in a file; raises MountUnavailable."""
    with image.open("wb") as file:
        file.truncate(size_bytes)
    run(*MKFS_COMMAND, image)


def mount(image: Path, folder: Path) -> None:
    """Mount an image file; raises MountUnavailable."""
    run("mount", "-t", "ext4", "-o", "loop,errors=remount-ro", image, folder)


def unmount(folder: Path) -> None:
    """Unmount lazily: open files stay usable until they are closed."""
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


def _print_line(text: str) -> None:
    """Print into the captured output: pytest shows it for a failed test, or with ``-rP``."""
    sys.stdout.write(f"{text}\n")


def run(*command: str | Path) -> None:
    """Run a command; raises MountUnavailable."""
    try:
        subprocess.run(command, check=True, capture_output=True, text=True)
    except FileNotFoundError as missing:
        raise MountUnavailable(f"{missing.filename} is not installed") from missing
    except subprocess.CalledProcessError as failed:
        raise MountUnavailable(str(failed.stderr).strip()) from failed


@contextmanager
def fill_disk(folder: Path) -> Iterator[None]:
    """Fill the disk except for LEFT_BYTES until the end of the block."""
    filler = folder / "filler"
    usage = os.statvfs(folder)
    with filler.open("wb") as file:
        os.posix_fallocate(file.fileno(), 0, usage.f_bavail * usage.f_frsize - LEFT_BYTES)
    try:
        yield
    finally:
        filler.unlink()
