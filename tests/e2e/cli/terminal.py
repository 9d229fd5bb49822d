"""Somebody at a terminal, with one service and one key in their environment."""

import fcntl
import itertools
import os
import struct
import subprocess
import sys
import termios
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any

import orjson
import pytest
from click.testing import Result

READ_BYTES = 65_536
_NUMBERS = itertools.count(1)


def new_tenant_name() -> str:
    """One that no test had before on the same service."""
    return f"cli-{next(_NUMBERS)}"


class Terminal:
    def __init__(self, run: Callable[..., Result], monkeypatch: pytest.MonkeyPatch) -> None:
        self._run = run
        self._patch = monkeypatch

    def holds(self, key: str) -> None:
        self._patch.setenv("QUORATE_API_KEY", key)

    def acts_as(self, agent: str) -> None:
        self._patch.setenv("QUORATE_AGENT", agent)

    def types(self, *words: str) -> Result:
        return self._run(*words)

    def gets(self, *words: str) -> Any:  # noqa: ANN401 - whatever JSON can say.
        """The JSON of a verb that has to work."""
        result = self._run(*words, "--json")
        assert result.exit_code == 0, result.stderr
        return orjson.loads(result.stdout)

    def id(self, *words: str) -> str:
        result = self._run(*words, "--quiet")
        assert result.exit_code == 0, result.stderr
        return str(result.stdout).rstrip("\n")


def _without_ways_to_print(variables: Mapping[str, str]) -> dict[str, str]:
    """Whatever runs the tests may have told its children how wide the world is."""
    return {name: value for name, value in variables.items() if name not in {"COLUMNS", "LINES"}}


def at_a_terminal(
    words: Sequence[str],
    variables: Mapping[str, str],
    *,
    columns: int = 80,
    kind: str = "xterm-256color",
) -> tuple[int, str]:
    """The exit code of `quorate`, and what a terminal of this width was sent."""
    ours, theirs = os.openpty()
    size = struct.pack("HHHH", 24, columns, 0, 0)
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, size)
    with subprocess.Popen(
        [sys.executable, "-m", "quorate.cli.main", *words],
        env={**_without_ways_to_print(variables), "TERM": kind},
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
    ) as started:
        os.close(theirs)
        sent = b""
        with suppress(OSError), os.fdopen(ours, "rb", buffering=0) as screen:
            while more := screen.read(READ_BYTES):  # It fails when nobody is there any more.
                sent += more
    return started.returncode, sent.decode().replace("\r\n", "\n")
