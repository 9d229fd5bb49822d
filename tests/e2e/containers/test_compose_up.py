"""`docker compose up`, the first requests, and then some of it is taken away.

It takes minutes and builds an image, so it is only done where QUORATE_COMPOSE=1 asks for it, on a
machine that has Docker with Compose and all images, or stand-ins for them.
"""

import asyncio
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.containers.docker_engine import image, needs_engine, stand_in
from tests.e2e.containers.load import Load
from tests.e2e.containers.servers import free_port
from tests.e2e.service.service_process import environment
from tests.support.certificates import Certificates
from tests.support.paths import ROOT

PROJECT = "quorate-test"
BUILD_SECONDS_MAX = 900
UP_SECONDS_MAX = 180
AGENTS = 12
ROUNDS = 300
NETWORK = "10.84.21.0/24"

pytestmark = [pytest.mark.docker, pytest.mark.slow, pytest.mark.timeout(1800)]


class Stack:
    """The compose files brought up under a name and on ports of their own."""

    def __init__(self, files: list[str], variables: dict[str, str]) -> None:
        self._files = [word for file in files for word in ("--file", str(ROOT / file))]
        self.port = free_port()
        self.nats_ports = [free_port() for _ in range(3)]
        self._variables = {
            "QUORATE_PORT": str(self.port),
            **{f"QUORATE_NATS_PORT_{n}": str(p) for n, p in enumerate(self.nats_ports, start=1)},
            "QUORATE_EDGE_NETWORK": NETWORK,
            "POSTGRES_IMAGE": image("postgres"),
            "NATS_IMAGE": image("nats-1"),
            "CADDY_IMAGE": image("proxy"),
            "PYTHON_IMAGE": stand_in("python:3.13-slim"),
            **variables,
        }

    def compose(self, *words: str, seconds: float = UP_SECONDS_MAX) -> str:
        done = subprocess.run(
            ["docker", "compose", "--project-name", PROJECT, *self._files, *words],
            env={**environment(), **self._variables},
            capture_output=True,
            text=True,
            timeout=seconds,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def build(self) -> None:
        argument = f"PYTHON_IMAGE={self._variables['PYTHON_IMAGE']}"
        subprocess.run(
            [
                "docker",
                "build",
                "--network",
                "host",
                "--build-arg",
                argument,
                "-t",
                "quorate",
                ROOT,
            ],
            check=True,
            capture_output=True,
            timeout=BUILD_SECONDS_MAX,
        )

    @property
    def api_key(self) -> str:
        return self.compose("exec", "-T", "api-1", "cat", "/run/quorate/api_key").strip()


@pytest.fixture(params=["plain", "tls"])
def stack(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Stack]:
    if os.environ.get("QUORATE_COMPOSE") != "1":
        pytest.skip("QUORATE_COMPOSE=1 is not set: nobody asked for minutes of Docker")
    needs_engine()
    there = subprocess.run(["docker", "compose", "version"], capture_output=True, check=False)
    if there.returncode != 0:
        pytest.skip("docker has no compose: its plug-in is not installed")
    files, variables = ["docker-compose.yml"], dict[str, str]()
    if request.param == "tls":
        certificates = Certificates(tmp_path / "tls")
        files.append("docker-compose.tls.yml")
        variables["QUORATE_TLS_DIR"] = str(certificates.folder)
        monkeypatch.setenv("SSL_CERT_FILE", str(certificates.ca))
    stack = Stack(files, variables)
    stack.build()
    try:
        stack.compose("up", "--detach", "--wait")
        yield stack
    finally:
        stack.compose("down", "--volumes", "--timeout", "5")


async def test_no_command_fails_while_a_nats_server_and_a_replica_are_taken_away(
    stack: Stack, request: pytest.FixtureRequest
) -> None:
    tls = "tls" in request.node.name
    url = f"{'https' if tls else 'http'}://localhost:{stack.port}"
    nats = ",".join(f"{'tls' if tls else 'nats'}://localhost:{port}" for port in stack.nats_ports)
    load = Load()
    async with load.by(AGENTS, url, stack.api_key, nats):
        for words in (
            ("stop", "nats-1"),
            ("kill", "api-1"),
            ("start", "nats-1", "api-1"),
            ("kill", "nats-2"),
            ("stop", "api-2"),
            ("start", "nats-2", "api-2"),
            ("restart", "postgres"),
        ):
            await asyncio.to_thread(stack.compose, *words)
            await load.more(ROUNDS)
    assert load.failures == []


def test_what_was_made_once_is_there_after_everything_was_removed_but_the_volumes(
    stack: Stack,
) -> None:
    key = stack.api_key
    stack.compose("down", "--timeout", "5")
    stack.compose("up", "--detach", "--wait")

    assert stack.api_key == key
