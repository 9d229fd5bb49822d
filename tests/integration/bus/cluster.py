"""A cluster of three nats-servers, each configured by `quorate nats-config`.

* Ports are chosen before any of them starts, because each needs the addresses of the others.
* A killed server restarts with its store, its name and its ports.
"""

import asyncio
import os
import shutil
import signal
import socket
import subprocess
import sysconfig
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx2
from nats.aio.client import Client

from quorate.bus.embedded.cluster_configuration import Cluster, Tls, extra_lines
from quorate.bus.embedded.configuration import ServiceKeys, server_configuration

SERVERS = 3
NAME = "quorate"
PASSWORD = "shown/to each:other"
READY_SECONDS_MAX = 90.0
POLL_SECONDS = 0.02
HOST = "127.0.0.1"


def free_ports(count: int) -> Sequence[int]:
    """Return different free ports: all are reserved until the last one is known."""
    with ExitStack() as held:
        sockets = [held.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind((HOST, 0))
        return [each.getsockname()[1] for each in sockets]


class NatsCluster:
    def __init__(self, folder: Path, keys: ServiceKeys, *, tls: Tls | None = None) -> None:
        self._folder = folder
        self._scheme = "tls" if tls else "nats"
        ports = free_ports(3 * SERVERS)
        self._ports, self.route_ports, self._monitor_ports = (
            ports[part * SERVERS : (part + 1) * SERVERS] for part in range(3)
        )
        self._keys = keys
        self._tls = tls
        folder.mkdir(parents=True, exist_ok=True)
        self._running: dict[int, subprocess.Popen[bytes]] = {}

    @property
    def urls(self) -> Sequence[str]:
        return [f"{self._scheme}://{HOST}:{port}" for port in self._ports]

    @property
    def url(self) -> str:
        """The URLs of all servers, as a service or an agent gets them."""
        return ",".join(self.urls)

    def number_of(self, client: Client) -> int:
        """Return the number of the server that the client is connected to."""
        address = client.connected_url
        assert address is not None
        return self.urls.index(address.geturl())

    async def start(self, number: int | None = None) -> None:
        """Start one server, or all, and wait until they are healthy."""
        for each in range(SERVERS) if number is None else (number,):
            self._spawn(each)
        await self.well()

    async def well(self) -> None:
        """Wait until each running server reports that JetStream is ready."""
        async with asyncio.timeout(READY_SECONDS_MAX), httpx2.AsyncClient() as http:
            for number in self._running:
                while not await self._is_well(http, number):  # noqa: ASYNC110 - another process.
                    await asyncio.sleep(POLL_SECONDS)

    def kill(self, number: int) -> None:
        process = self._running.pop(number)
        process.send_signal(signal.SIGKILL)
        process.wait()

    def stop(self) -> None:
        for number in list(self._running):
            self.kill(number)

    async def monitor(self, number: int, path: str) -> dict[str, Any]:
        """Return a page of a server's monitoring endpoint."""
        async with httpx2.AsyncClient() as http:
            response = await http.get(f"http://{HOST}:{self._monitor_ports[number]}/{path}")
        found: dict[str, Any] = response.json()
        return found

    def output(self) -> str:
        """Return the servers' logs, for the analysis of a failure."""
        return "\n".join(log.read_text() for log in sorted(self._folder.glob("*.log")))

    def _spawn(self, number: int) -> None:
        program = shutil.which("nats-server", path=sysconfig.get_path("scripts"))
        assert program is not None
        file = self._configured(number)
        with file.with_suffix(".log").open("ab") as log:
            self._running[number] = subprocess.Popen(
                [program, "-c", str(file)], stdout=log, stderr=log, env={"PATH": os.environ["PATH"]}
            )

    def _configured(self, number: int) -> Path:
        name = f"nats-{number + 1}"
        routes = [f"{HOST}:{port}" for port in self.route_ports]
        cluster = Cluster(name=NAME, listen=routes[number], routes=routes, password=PASSWORD)
        monitor = f"{HOST}:{self._monitor_ports[number]}"
        more = extra_lines(name=name, monitor=monitor, tls=self._tls, cluster=cluster)
        listen = f"{HOST}:{self._ports[number]}"
        file = self._folder / f"{name}.conf"
        file.write_text(server_configuration(self._keys, listen, str(self._folder / name), more))
        return file

    async def _is_well(self, http: httpx2.AsyncClient, number: int) -> bool:
        process = self._running[number]
        assert process.poll() is None, self.output()
        try:
            response = await http.get(f"http://{HOST}:{self._monitor_ports[number]}/healthz")
        except httpx2.HTTPError:
            return False
        return response.status_code == httpx2.codes.OK
