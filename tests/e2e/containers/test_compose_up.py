"""`docker compose up`, requests, and failures of single containers.

The test builds an image and takes minutes, so it runs only with QUORATE_COMPOSE=1, on a machine
with Docker, Compose, and all images or their substitutes.
"""

import asyncio
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.containers.docker_engine import image, require_docker_engine, substitute_or_original
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
    """The Compose files as a separate project on free ports."""

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
            "PYTHON_IMAGE": substitute_or_original("python:3.13-slim"),
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
        pytest.skip("QUORATE_COMPOSE=1 is not set; the test takes minutes")
    require_docker_engine()
    there = subprocess.run(["docker", "compose", "version"], capture_output=True, check=False)
    if there.returncode != 0:
        pytest.skip("the Compose plug-in of docker is not installed")
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


async def test_no_command_fails_while_containers_are_stopped_killed_and_restarted(
    stack: Stack, request: pytest.FixtureRequest
) -> None:
    tls = "tls" in request.node.name
    url = f"{'https' if tls else 'http'}://localhost:{stack.port}"
    nats = ",".join(f"{'tls' if tls else 'nats'}://localhost:{port}" for port in stack.nats_ports)
    load = Load()
    async with load.run(AGENTS, url, stack.api_key, nats):
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
            await load.wait_for_rounds(ROUNDS)
    assert load.failures == []


def test_api_key_persists_when_all_containers_are_recreated(
    stack: Stack,
) -> None:
    key = stack.api_key
    stack.compose("down", "--timeout", "5")
    stack.compose("up", "--detach", "--wait")

    assert stack.api_key == key
