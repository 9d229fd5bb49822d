"""What the verbs are tried on: a real log of a short history, and a service's stand-in."""

import asyncio
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import orjson
import pytest
from click.testing import CliRunner, Result

from quorate.cli.main import quorate
from tests.conformance.projections.random_history import Town
from tests.e2e.cli.fake_event_server import StandIn
from tests.e2e.cli.terminal import Terminal, new_tenant_name
from tests.e2e.service.service_process import Running
from tests.e2e.service.shared_service import SharedService

Run = Callable[..., Result]
TENANT = "acme"


class Lived(NamedTuple):
    """A service's data folder, and what its tenant exported."""

    data_dir: Path
    lines: list[bytes]

    @property
    def events(self) -> list[dict[str, Any]]:
        return [orjson.loads(line) for line in self.lines]

    def kept(self, sequence: int) -> str:
        """What an auditor keeps: ``SEQUENCE:HASH``."""
        return f"{sequence}:{self.events[sequence - 1]['hash']}"


@pytest.fixture(scope="session")
def lived(tmp_path_factory: pytest.TempPathFactory) -> Lived:
    data_dir = tmp_path_factory.mktemp("data")

    async def live() -> None:
        async with Town(data_dir / "quorate.db", seed=5) as town:
            await town.live(rounds=50)
            await town.export(TENANT, data_dir / "log.jsonl")

    asyncio.run(live())
    return Lived(data_dir, (data_dir / "log.jsonl").read_bytes().splitlines(keepends=True))


@pytest.fixture
def log(lived: Lived, tmp_path: Path) -> Path:
    """The exported file, to be spoiled at will."""
    path = tmp_path / "log.jsonl"
    path.write_bytes(b"".join(lived.lines))
    return path


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Run:
    """Run one verb in an empty folder, with nothing set that the test did not set."""
    monkeypatch.chdir(tmp_path)
    for name in [one for one in os.environ if one.startswith("QUORATE_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("QUORATE_DATA_DIR", str(tmp_path / "no-data"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "share"))
    monkeypatch.setenv("QUORATE_JSON", "0")  # As at a terminal, unless a test asks for JSON.

    def run_verb(*arguments: str | Path, input: bytes | None = None) -> Result:  # noqa: A002
        return CliRunner().invoke(quorate, [str(one) for one in arguments], input=input)

    return run_verb


@pytest.fixture(scope="module")
def real(shared_service: SharedService) -> Iterator[Running]:
    """A service that runs, with its own data folder."""
    with shared_service.lent() as running:
        yield running


@pytest.fixture
def service(lived: Lived) -> Iterator[StandIn]:
    """Answers ``GET /v1/events`` as the service does, from the exported events."""
    with StandIn(lived.events) as stand_in:
        yield stand_in


@pytest.fixture
def tenant(run: Run, real: Running, monkeypatch: pytest.MonkeyPatch) -> Terminal:
    """At a terminal with the key of a new tenant, where `ann` and `bob` are registered."""
    name = new_tenant_name()
    monkeypatch.setenv("QUORATE_DATA_DIR", str(real.data_dir))
    at = Terminal(run, monkeypatch)
    at.gets("tenants", "create", name)
    at.holds(at.id("keys", "issue", "--as-operator", "--tenant", name, "--role", "tenant"))
    for agent in ("ann", "bob"):
        at.gets("agents", "register", "--agent-name", agent, "--agent-role", "outbound")
    return at
