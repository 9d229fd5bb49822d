"""Importing the client costs little, and what it needs is loaded when it is used."""

import subprocess
import sys

import pytest

import quorate.client as sdk
from tests.e2e.service.service_process import SOURCES

HEAVY = ("asyncio", "httpx2", "nats", "orjson")


def loaded_by(statement: str) -> set[str]:
    program = f"import sys; {statement}; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", program],
        env={"PYTHONPATH": str(SOURCES)},
        capture_output=True,
        text=True,
        check=True,
    )
    return set(done.stdout.split())


def test_importing_the_package_loads_nothing_heavy() -> None:
    assert loaded_by("import quorate.client").isdisjoint(HEAVY)


def test_an_agent_without_nats_does_not_load_it() -> None:
    assert "nats" not in loaded_by("from quorate.client import Agent")


def test_asks_need_no_http() -> None:
    assert loaded_by("import quorate.client.requests").isdisjoint({"asyncio", "httpx2", "nats"})


@pytest.mark.parametrize("name", sorted(sdk._MODULE_BY_NAME))
def test_every_public_name_is_there(name: str) -> None:
    assert name in dir(sdk)
    assert getattr(sdk, name).__name__ == name


def test_what_is_not_there_is_said_as_usual() -> None:
    with pytest.raises(AttributeError, match="Agnet"):
        _ = sdk.Agnet  # type: ignore[attr-defined]
