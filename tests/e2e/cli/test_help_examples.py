"""The help of each command ends with examples, and each example runs as printed.

The examples of one command form one bash script, run against a real service. Its credentials are in
the default place, and the two agents of the examples are registered. Only the default ports are
replaced, because other processes may use them.
"""

import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import httpx2
import pytest
from click.testing import CliRunner

from quorate.cli.commands.call import OperationGroup
from quorate.cli.main import quorate
from tests.e2e.cli.conftest import RecordedLog
from tests.e2e.service.service_process import READY_LINE, ServiceProcess, environment
from tests.support import forked_process
from tests.support.forked_process import fork_listener
from tests.support.postgres import shared_with_role

AGENTS = ("outreach-agent", "retention-agent")
SCRIPT_SECONDS_MAX = 240.0
WIDTH = 80
DEMO_SECONDS = "5"  # For examples without --seconds.
# tests/e2e/service/test_external_nats.py covers what its examples start.
# tests/e2e/cli/test_spawn_and_worker.py covers workers, which do not end.
# tests/e2e/cli/test_mail_attachment.py covers attachments, which come from outside.
TESTED_ELSEWHERE = {("nats-config",), ("worker",), ("mail", "attachment")}
ANYWHERE = "0.0.0.0"  # noqa: S104 - an address that no test may listen on.
NOT_RUN = ("Exit codes",)
POSTGRES = "postgresql+asyncpg://owner@host/quorate"


def walk_commands(
    group: click.Group, *path: str
) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        if isinstance(command, OperationGroup):
            yield (*path, name), command  # test_call.py covers its commands.
        elif isinstance(command, click.Group):
            yield from walk_commands(command, *path, name)
        else:
            yield (*path, name), command


COMMANDS = dict(walk_commands(quorate))
OTHER_NAMES = (  # The same commands as in `quorate lease`, `proposals` and `whoami`.
    *(("agents", name) for name in ("lease", "renew-lease", "release-lease", "leases")),
    *(("agents", "consensus", name) for name in ("create", "get", "vote", "votes", "list")),
    *(("agents", "request-send"), ("keys", "self")),
)


def paths_of(path: tuple[str, ...]) -> list[str]:
    """Return all names of the command."""
    same = [one for one, command in COMMANDS.items() if command is COMMANDS[path]]
    return [f"quorate {' '.join(one)}" for one in same]


def read_examples(command: click.Command) -> list[str]:
    """Return the example lines of a help text."""
    paragraphs = re.split(r"\n\s*\n", (command.epilog or "").strip("\n"))
    lines: list[str] = []
    for paragraph in paragraphs:
        heading, *rest = [line for line in paragraph.splitlines() if line != "\b"]
        if not heading.startswith(NOT_RUN):
            lines += [line.removeprefix("  ") for line in rest if line.startswith("  ")]
    return lines


@pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
def test_help_describes_each_option_and_has_examples(path: tuple[str, ...]) -> None:
    result = CliRunner().invoke(quorate, [*path, "--help"])

    assert result.exit_code == 0
    assert re.search(r"^ *Examples?:$", result.stdout, re.MULTILINE)
    examples = read_examples(COMMANDS[path])
    assert any(name in line for name in paths_of(path) for line in examples)
    for option in COMMANDS[path].params:
        assert not isinstance(option, click.Option) or option.help, option.name


class ShellEnvironment:
    """A shell environment with its own home, `quorate` on the PATH and a running service."""

    def __init__(self, service: ServiceProcess, folder: Path, program: str) -> None:
        self.service = service
        self.folder = folder
        command = folder / "quorate"
        command.write_text(f'#!/bin/sh\nexec {program} "$@"\n')
        command.chmod(0o755)
        self.variables = environment(
            HOME=str(folder),
            XDG_CONFIG_HOME=str(folder / "config"),
            QUORATE_DATA_DIR=str(service.data_dir),
            KEY=service.api_key,
            QUORATE_DEMO_SECONDS=DEMO_SECONDS,
            PATH=f"{folder}:{os.environ['PATH']}",
        )

    def run(self, lines: list[str]) -> "subprocess.CompletedProcess[str]":
        text = "\n".join(lines)
        if POSTGRES in text:
            text = text.replace(POSTGRES, shared_with_role().database_url())
        for port, url in ((8420, self.service.url), (4222, self.service.nats_url)):
            text = text.replace(f"127.0.0.1:{port}", url.partition("://")[2])
        return subprocess.run(
            ["bash", "-eu", "-o", "pipefail", "-c", text],
            env=self.variables,
            cwd=self.folder,
            capture_output=True,
            text=True,
            timeout=SCRIPT_SECONDS_MAX,
            check=False,
        )


@pytest.fixture(scope="module")
def program() -> Iterator[str]:
    """The command of `quorate`: hundreds of them are forked, because each import takes a second."""
    if not forked_process.IS_SUPPORTED:
        yield f"{shlex.quote(sys.executable)} -m quorate.cli.main"
        return
    with fork_listener() as program:
        yield program


@pytest.fixture
def shell_environment(real: ServiceProcess, tmp_path: Path, program: str) -> ShellEnvironment:
    headers = {"Authorization": f"Bearer {real.api_key}"}
    for name in AGENTS:
        body = {"agentName": name}
        httpx2.post(f"{real.url}/v1/agent/register", json=body, headers=headers).raise_for_status()
    return ShellEnvironment(real, tmp_path, program)


# These commands need a log that no service uses.
RUN_WITHOUT_SERVICE = [("rebuild",), ("log", "archive"), ("log", "verify")]
RUN_AS_PRINTED = [
    path
    for path in COMMANDS
    if path not in {*TESTED_ELSEWHERE, *RUN_WITHOUT_SERVICE, *OTHER_NAMES, ("serve",)}
]


@pytest.mark.parametrize("path", RUN_AS_PRINTED, ids=" ".join)
def test_help_examples_run_against_a_service(
    path: tuple[str, ...], shell_environment: ShellEnvironment
) -> None:
    completed = shell_environment.run(read_examples(COMMANDS[path]))

    assert completed.returncode == 0, completed.stdout + completed.stderr
    assert "Error" not in completed.stderr


@pytest.mark.parametrize("path", RUN_WITHOUT_SERVICE, ids=" ".join)
def test_help_examples_run_without_a_service(
    path: tuple[str, ...], shell_environment: ShellEnvironment, recorded_log: RecordedLog
) -> None:
    data_dir = shell_environment.folder / "data"
    data_dir.mkdir()
    shutil.copy(recorded_log.data_dir / "quorate.db", data_dir)
    shell_environment.variables["QUORATE_DATA_DIR"] = str(data_dir)

    completed = shell_environment.run(read_examples(COMMANDS[path]))

    assert completed.returncode == 0, completed.stderr


@pytest.mark.parametrize(
    "line", [line for line in read_examples(COMMANDS["serve",]) if ANYWHERE not in line]
)
def test_serve_examples_start_a_service(line: str, shell_environment: ShellEnvironment) -> None:
    variables = shell_environment.variables | {
        "QUORATE_DATA_DIR": str(shell_environment.folder / "data"),
        "QUORATE_PORT": "0",
        "QUORATE_NATS_PORT": "0",
    }
    with subprocess.Popen(
        ["bash", "-c", f"exec {line}"],
        env=variables,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    ) as started:
        assert started.stdout is not None
        lines = iter(started.stdout.readline, b"")
        assert any(READY_LINE in one for one in lines)
        started.send_signal(signal.SIGTERM)
        started.stdout.read()

    assert started.returncode == 0


def test_top_level_help_examples_run(shell_environment: ShellEnvironment) -> None:
    shown = CliRunner().invoke(quorate, ["--help"]).stdout
    typed = [line.strip() for line in shown.splitlines() if line.startswith("    ")]
    typed = typed[typed.index("quorate serve") :]
    typed = typed[: typed.index("quorate replay log.jsonl") + 1]

    completed = shell_environment.run(typed[1:])

    assert len(typed) >= 6
    assert completed.returncode == 0, completed.stderr


@pytest.mark.parametrize("path", [(), *COMMANDS], ids=" ".join)
def test_help_lines_fit_into_80_columns(path: tuple[str, ...]) -> None:
    shown = CliRunner().invoke(quorate, [*path, "--help"], terminal_width=WIDTH).stdout

    assert [line for line in shown.splitlines() if len(line) > WIDTH] == []
