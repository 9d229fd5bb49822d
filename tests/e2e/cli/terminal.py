"""Run commands as a user at a terminal, with one service and one key in the environment."""

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
    """Return a tenant name that no other test uses."""
    return f"cli-{next(_NUMBERS)}"


class Terminal:
    def __init__(self, run: Callable[..., Result], monkeypatch: pytest.MonkeyPatch) -> None:
        self._run = run
        self._patch = monkeypatch

    def set_key(self, key: str) -> None:
        self._patch.setenv("QUORATE_API_KEY", key)

    def set_agent(self, agent: str) -> None:
        self._patch.setenv("QUORATE_AGENT", agent)

    def run(self, *words: str) -> Result:
        return self._run(*words)

    def run_json(self, *words: str) -> Any:  # noqa: ANN401 - any JSON value.
        """Run a command that must succeed and return its JSON."""
        result = self._run(*words, "--json")
        assert result.exit_code == 0, result.stderr
        return orjson.loads(result.stdout)

    def run_quiet(self, *words: str) -> str:
        result = self._run(*words, "--quiet")
        assert result.exit_code == 0, result.stderr
        return str(result.stdout).rstrip("\n")


def _without_terminal_size(variables: Mapping[str, str]) -> dict[str, str]:
    """Remove the terminal size of the test runner."""
    return {name: value for name, value in variables.items() if name not in {"COLUMNS", "LINES"}}


def run_in_terminal(
    words: Sequence[str],
    variables: Mapping[str, str],
    *,
    columns: int = 80,
    kind: str = "xterm-256color",
) -> tuple[int, str]:
    """Run `quorate` in a terminal of this width; return its exit code and output."""
    controller, terminal = os.openpty()
    size = struct.pack("HHHH", 24, columns, 0, 0)
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, size)
    with subprocess.Popen(
        [sys.executable, "-m", "quorate.cli.main", *words],
        env={**_without_terminal_size(variables), "TERM": kind},
        stdin=terminal,
        stdout=terminal,
        stderr=terminal,
    ) as started:
        os.close(terminal)
        output = b""
        with suppress(OSError), os.fdopen(controller, "rb", buffering=0) as screen:
            while more := screen.read(READ_BYTES):  # Fails when the process has closed it.
                output += more
    return started.returncode, output.decode().replace("\r\n", "\n")
