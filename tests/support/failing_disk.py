"""A disk that takes no writes any more, and what is truly on it.

* Failing: the device beneath the file system answers each write with an error, and whoever syncs
  hears of it.
* Read-only: what a file system turns that found itself in disorder, until it is mounted anew.
* Mounted anew: what the kernel kept in memory, and could not write, is forgotten.
"""

import os
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support.small_disk import NotPossible, make_image, mount, run, unmount


class FailingDisk:
    """ext4 at ``folder``, on a loop device."""

    def __init__(self, folder: Path, image: Path) -> None:
        self.folder = folder
        self._image = image

    @contextmanager
    def failing(self) -> Iterator[None]:
        """Whoever may not change the image cannot write to the device either."""
        run("chattr", "+i", self._image)
        try:
            yield
        finally:
            run("chattr", "-i", self._image)

    def turn_read_only(self) -> None:
        number = self.folder.stat().st_dev
        device = Path(f"/sys/dev/block/{os.major(number)}:{os.minor(number)}").resolve().name
        Path(f"/sys/fs/ext4/{device}/trigger_fs_error").write_text("1")

    def mount_anew(self) -> None:
        """Nobody may have a file of it open."""
        subprocess.run(["umount", str(self.folder)], check=True)
        mount(self._image, self.folder)


@contextmanager
def failing_disk(folder: Path, size_bytes: int) -> Iterator[FailingDisk]:
    """At ``folder``, which must be there. Skips the test where this is not possible."""
    with tempfile.TemporaryDirectory(prefix="quorate-disk-") as place:
        disk = FailingDisk(folder, Path(place) / "image")
        try:
            make_image(Path(place) / "image", size_bytes)
            with disk.failing():
                pass
            mount(Path(place) / "image", folder)
        except NotPossible as why:
            pytest.skip(f"no file system can be put on a device that fails: {why}")
        try:
            yield disk
        finally:
            unmount(folder)
