"""Run a program for one task: the task on its input, progress and the result on its output.

* A line ``PROGRESS {...}`` reports progress: an object with ``percent``, ``message``, ``output``,
  ``iterations`` or ``tool_calls_made``. All other output is the result.
* Exit code 0 completes the task, RETRY_CODE lets another attempt begin, any other fails it.
* A task that is cancelled or lost ends the program and its descendants: SIGTERM, then SIGKILL.
"""

import asyncio
import os
from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from quorate.cli.lease_runner.subprocess import Program
from quorate.client import RetryTaskError, Task
from quorate.domain.shared.records import record

RETRY_CODE = 75  # EX_TEMPFAIL of sysexits.h.
RESULT_BYTES_MAX = 1_024 * 1_024
LINE_BYTES_MAX = 256 * 1_024
READ_BYTES = 64 * 1_024
PROGRESS = b"PROGRESS "
_FIELDS = ("percent", "message", "output", "iterations", "tool_calls_made")


class ProgramFailed(Exception):
    """The program ended with another exit code than 0, or its output is too long."""


@record
class TaskProgram:
    """``command`` begins with the path of the program."""

    command: Sequence[str]
    url: str
    agent_id: str
    kill_after_seconds: float

    async def run(self, task: Task) -> str:
        """Return the result; raise RetryTaskError or ProgramFailed."""
        program = await Program.start(
            self.command,
            self._environment(task),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            linger_seconds=self.kill_after_seconds,
        )
        try:
            feeding = asyncio.ensure_future(program.feed(orjson.dumps(task.info.raw)))
            try:
                text = await _read_output(program, task)
            finally:
                feeding.cancel()
            code = await program.wait()
        except BaseException:  # Whatever ends the task ends the program.
            await asyncio.shield(asyncio.ensure_future(program.stop(self.kill_after_seconds)))
            raise
        if code == RETRY_CODE:
            raise RetryTaskError(f"exit code {code}")
        if code:
            raise ProgramFailed(f"exit code {code}")
        return text

    def _environment(self, task: Task) -> Mapping[str, str]:
        return os.environ | {
            "QUORATE_URL": self.url,
            "QUORATE_AGENT": self.agent_id,
            "QUORATE_TASK_ID": task.id,
            "QUORATE_FENCE": str(task.fence),
        }


async def _read_output(program: Program, task: Task) -> str:
    """Report progress, and return the rest of the output."""
    result, line = bytearray(), b""
    while data := await program.read(READ_BYTES):
        *lines, line = (line + data).split(b"\n")
        for one in lines:
            await _take(one + b"\n", result, task)
        if len(line) > LINE_BYTES_MAX:  # No progress is as long.
            result += line
            line = b""
        if len(result) > RESULT_BYTES_MAX:
            raise ProgramFailed(f"more than {RESULT_BYTES_MAX} bytes of output")
    await _take(line, result, task)
    return result.decode("utf-8", errors="replace").removesuffix("\n")


async def _take(line: bytes, result: bytearray, task: Task) -> None:
    reported = _progress_in(line)
    if reported is None:
        result += line
        return
    await task.progress(**reported)


def _progress_in(line: bytes) -> dict[str, Any] | None:
    if not line.startswith(PROGRESS):
        return None
    try:
        found = orjson.loads(line[len(PROGRESS) :])
    except orjson.JSONDecodeError:
        return None
    if not isinstance(found, dict):
        return None
    return {name: found[name] for name in _FIELDS if found.get(name) is not None}
