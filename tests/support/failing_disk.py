"""A disk that rejects writes, to test what is durable.

* Failing: the device below the file system fails each write, and a sync reports the error.
* Read-only: the state of a file system after it detected an error, until it is mounted again.
* Remounted: data that the kernel held in memory and could not write is lost.
"""

import os
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support.small_disk import MountUnavailable, make_image, mount, run, unmount


class FailingDisk:
    """ext4 at ``folder``, on a loop device."""

    def __init__(self, folder: Path, image: Path) -> None:
        self.folder = folder
        self._image = image

    @contextmanager
    def failing(self) -> Iterator[None]:
        """Fail all writes to the device: its image file is immutable."""
        run("chattr", "+i", self._image)
        try:
            yield
        finally:
            run("chattr", "-i", self._image)

    def turn_read_only(self) -> None:
        number = self.folder.stat().st_dev
        device = Path(f"/sys/dev/block/{os.major(number)}:{os.minor(number)}").resolve().name
        Path(f"/sys/fs/ext4/{device}/trigger_fs_error").write_text("1")

    def remount(self) -> None:
        """Unmount and mount again; no process may have an open file on it."""
        subprocess.run(["umount", str(self.folder)], check=True)
        mount(self._image, self.folder)


@contextmanager
def failing_disk(folder: Path, size_bytes: int) -> Iterator[FailingDisk]:
    """Mount a FailingDisk at the existing ``folder``, or skip the test."""
    with tempfile.TemporaryDirectory(prefix="quorate-disk-") as image_folder:
        disk = FailingDisk(folder, Path(image_folder) / "image")
        try:
            make_image(Path(image_folder) / "image", size_bytes)
            with disk.failing():
                pass
            mount(Path(image_folder) / "image", folder)
        except MountUnavailable as why:
            pytest.skip(f"cannot mount a failing device: {why}")
        try:
            yield disk
        finally:
            unmount(folder)
