"""Fixtures of the CLI tests: a recorded log, a fake service, and a real service."""

import asyncio
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import orjson
import pytest
from click.testing import CliRunner, Result

from quorate.cli.main import quorate
from tests.conformance.projections.random_history import RandomHistory
from tests.e2e.cli.fake_event_server import FakeEventServer
from tests.e2e.cli.terminal import Terminal, new_tenant_name
from tests.e2e.service.service_process import ServiceProcess
from tests.e2e.service.shared_service import SharedService

Run = Callable[..., Result]
TENANT = "acme"


class RecordedLog(NamedTuple):
    """The data directory of a service, and the exported log of its tenant."""

    data_dir: Path
    lines: list[bytes]

    @property
    def events(self) -> list[dict[str, Any]]:
        return [orjson.loads(line) for line in self.lines]

    def head_hash(self, sequence: int) -> str:
        """Return the head hash terminal a sequence as ``SEQUENCE:HASH``."""
        return f"{sequence}:{self.events[sequence - 1]['hash']}"


@pytest.fixture(scope="session")
def recorded_log(tmp_path_factory: pytest.TempPathFactory) -> RecordedLog:
    data_dir = tmp_path_factory.mktemp("data")

    async def live() -> None:
        history = RandomHistory(data_dir / "quorate.db", seed=13, mail=False, schedules=True)
        async with history as random_history:
            await random_history.run(rounds=50)
            await random_history.export(TENANT, data_dir / "log.jsonl")

    asyncio.run(live())
    return RecordedLog(data_dir, (data_dir / "log.jsonl").read_bytes().splitlines(keepends=True))


@pytest.fixture
def log(recorded_log: RecordedLog, tmp_path: Path) -> Path:
    """A copy of the exported file that a test may modify."""
    path = tmp_path / "log.jsonl"
    path.write_bytes(b"".join(recorded_log.lines))
    return path


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Run:
    """Run a command in an empty directory, without QUORATE_ variables of the test runner."""
    monkeypatch.chdir(tmp_path)
    for name in [one for one in os.environ if one.startswith("QUORATE_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("QUORATE_DATA_DIR", str(tmp_path / "no-data"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "share"))
    monkeypatch.setenv("QUORATE_JSON", "0")  # Text, unless a test requests JSON.

    def run_command(*arguments: str | Path, input: bytes | None = None) -> Result:  # noqa: A002
        return CliRunner().invoke(quorate, [str(one) for one in arguments], input=input)

    return run_command


@pytest.fixture(scope="module")
def real(shared_service: SharedService) -> Iterator[ServiceProcess]:
    """A running service with its own data directory."""
    with shared_service.borrow() as running:
        yield running


@pytest.fixture
def service(recorded_log: RecordedLog) -> Iterator[FakeEventServer]:
    """A fake service that returns the exported events."""
    with FakeEventServer(recorded_log.events) as server:
        yield server


@pytest.fixture
def tenant(run: Run, real: ServiceProcess, monkeypatch: pytest.MonkeyPatch) -> Terminal:
    """A terminal with the key of a new tenant, in which `ann` and `bob` are registered."""
    name = new_tenant_name()
    monkeypatch.setenv("QUORATE_DATA_DIR", str(real.data_dir))
    terminal = Terminal(run, monkeypatch)
    terminal.run_json("tenants", "create", name)
    terminal.set_key(
        terminal.run_quiet("keys", "issue", "--as-operator", "--tenant", name, "--role", "tenant")
    )
    for agent in ("ann", "bob"):
        terminal.run_json("agents", "register", "--agent-name", agent, "--agent-role", "outbound")
    return terminal


@pytest.fixture
def home(tmp_path: Path) -> dict[str, str]:
    """An environment without the files of the test runner."""
    return {"HOME": str(tmp_path), "XDG_CONFIG_HOME": str(tmp_path), "XDG_DATA_HOME": str(tmp_path)}
