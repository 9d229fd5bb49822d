"""A verb that goes on for a while, as a process of its own: read line by line, sent signals."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

import httpx2

from tests.e2e.service.service_process import Running, environment

Json: TypeAlias = dict[str, Any]
AWAITED_SECONDS_MAX = 30.0
LOOK_SECONDS = 0.01


class Outcome(NamedTuple):
    code: int
    stdout: str
    stderr: str


class Started:
    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self.process = process

    def line(self) -> str:
        """The next line of its output; empty when it has ended."""
        assert self.process.stdout is not None
        return self.process.stdout.readline().rstrip("\n")

    def reads(self, text: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(text)
        self.process.stdin.flush()

    def sent(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def ended(self) -> Outcome:
        stdout, stderr = self.process.communicate(timeout=AWAITED_SECONDS_MAX)
        return Outcome(self.process.returncode, stdout, stderr)


@contextmanager
def started(*words: str, **variables: str) -> Iterator[Started]:
    """`quorate` with these words, in an environment in which nothing else is set for it."""
    process = subprocess.Popen(
        [sys.executable, "-m", "quorate.cli.main", *words],
        env=environment(**variables),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        process_group=0,  # As a shell starts it, so that it can be stopped as with Ctrl-Z.
    )
    with process:
        try:
            yield Started(process)
        finally:
            process.kill()


def done(*words: str, **variables: str) -> Outcome:
    with started(*words, **variables) as verb:
        return verb.ended()


class Tenant:
    """A tenant of its own on a service, and what is known of it over HTTP."""

    def __init__(self, service: Running, name: str) -> None:
        self.service = service
        self.name = name
        self._operator = self._client(service.admin_key)
        self._asks(self._operator, "POST", "/v1/tenants", {"tenantId": name})
        self.key = self.issue("tenant")
        self._own = self._client(self.key)

    def close(self) -> None:
        self._operator.close()
        self._own.close()

    @property
    def variables(self) -> dict[str, str]:
        """As whom a verb acts when its environment says no more."""
        return {"QUORATE_URL": self.service.url, "QUORATE_API_KEY": self.key}

    def issue(self, role: str, agent: str | None = None) -> str:
        body = {"tenantId": self.name, "role": role, **({"agentName": agent} if agent else {})}
        return str(self._asks(self._operator, "POST", "/v1/keys", body)["key"])

    def register(self, agent: str) -> str:
        return str(self.asks("POST", "/v1/agent/register", {"agentName": agent})["id"])

    def lease(self, agent: str, contact: str) -> Json:
        body = {"agentName": agent, "contactEmail": contact}
        answered: Json = self.asks("POST", "/v1/agent/coordination/lease", body)
        return answered

    def release(self, lease_id: str) -> None:
        self.asks("DELETE", f"/v1/agent/coordination/lease/{lease_id}")

    def leases(self) -> list[Json]:
        return list(self.asks("GET", "/v1/agent/coordination/leases"))

    def events(self, type_: str | None = None) -> list[Json]:
        page = self.asks("GET", "/v1/events?limit=1000" + (f"&type={type_}" if type_ else ""))
        return list(page["events"])

    @property
    def head(self) -> int:
        return int(self.asks("GET", "/v1/events?limit=1")["head"])

    def asks(self, method: str, path: str, body: Json | None = None) -> Any:  # noqa: ANN401 - JSON.
        return self._asks(self._own, method, path, body)

    def _client(self, key: str) -> httpx2.Client:
        headers = {"Authorization": f"Bearer {key}"}
        return httpx2.Client(base_url=self.service.url, headers=headers, timeout=30.0)

    @staticmethod
    def _asks(client: httpx2.Client, method: str, path: str, body: Json | None = None) -> Any:  # noqa: ANN401 - JSON.
        response = client.request(method, path, json=body)
        # A conflict is recorded, and is what some tests are after.
        assert response.status_code in {200, 409}, response.text
        return response.json()


def until(condition: Callable[[], object]) -> None:
    """Return as soon as it holds."""
    deadline = time.monotonic() + AWAITED_SECONDS_MAX
    while not condition():
        assert time.monotonic() < deadline, "it did not come"
        time.sleep(LOOK_SECONDS)


def gone(pid: int) -> bool:
    """Whether a process has ended, be it only as a zombie (Linux only)."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True


def stopped(pid: int) -> bool:
    """Whether a process stands still until it is continued (Linux only)."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "T"


def runs_with(text: str) -> list[int]:
    """The processes that have a text in their command line (Linux only)."""
    found = []
    for each in Path("/proc").glob("[0-9]*"):
        try:
            arguments = (each / "cmdline").read_bytes()
        except OSError:
            continue  # It ended while we looked.
        if text.encode() in arguments and int(each.name) != os.getpid():
            found.append(int(each.name))
    return found


def without_key(variables: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in variables.items() if name != "QUORATE_API_KEY"}
