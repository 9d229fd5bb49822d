"""A program that was started without standard descriptors gets none of its files as one."""

import subprocess
import sys
import tempfile

import pytest

from quorate.runtime.standard_streams import open_missing_streams
from tests.support.paths import ROOT

PROGRAM = f"""
import os, sys
sys.path.insert(0, {str(ROOT / "src")!r})
if sys.argv[1] == "open":
    from quorate.runtime.standard_streams import open_missing_streams
    open_missing_streams()
    print("text", file=sys.stdout)
    print("text", file=sys.stderr)
    assert sys.stdin.read() == ""
with open(sys.argv[2], "w") as first:
    sys.exit(first.fileno())
"""
REDIRECTIONS = ["<&-", ">&-", "2>&-", "<&- >&-", "<&- >&- 2>&-"]


def first_descriptor(redirection: str, action: str) -> int:
    """Return the descriptor of the first file of a program that a shell starts."""
    with tempfile.NamedTemporaryFile() as file:
        command = f'exec "$0" -c "$1" {action} "$2" {redirection}'
        arguments = [sys.executable, PROGRAM, file.name]
        done = subprocess.run(
            ["sh", "-c", command, *arguments],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=False,
        )
        return done.returncode


@pytest.mark.parametrize("redirection", REDIRECTIONS)
def test_closed_standard_descriptors_are_opened(redirection: str) -> None:
    assert first_descriptor(redirection, "open") > 2


def test_without_it_a_file_becomes_a_standard_descriptor() -> None:
    """The negative control."""
    assert first_descriptor(">&-", "nothing") <= 2


def test_open_descriptors_are_not_changed() -> None:
    before = sys.stdin, sys.stdout, sys.stderr
    open_missing_streams()
    assert (sys.stdin, sys.stdout, sys.stderr) == before
