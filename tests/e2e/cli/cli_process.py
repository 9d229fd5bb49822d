"""Run `quorate` as a process, read its output by line and send it signals."""

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

from tests.e2e.service.service_process import ServiceProcess, environment

Json: TypeAlias = dict[str, Any]
WAIT_TIMEOUT_SECONDS = 90.0
POLL_SECONDS = 0.01


class Outcome(NamedTuple):
    code: int
    stdout: str
    stderr: str


class CliProcess:
    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self.process = process

    def read_line(self) -> str:
        """Read the next line of its output; empty after its end."""
        assert self.process.stdout is not None
        return self.process.stdout.readline().rstrip("\n")

    def write(self, text: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(text)
        self.process.stdin.flush()

    def send_signal(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def wait(self) -> Outcome:
        stdout, stderr = self.process.communicate(timeout=WAIT_TIMEOUT_SECONDS)
        return Outcome(self.process.returncode, stdout, stderr)


@contextmanager
def start_cli(*words: str, **variables: str) -> Iterator[CliProcess]:
    """Run `quorate` with these arguments and only these variables."""
    process = subprocess.Popen(
        [sys.executable, "-m", "quorate.cli.main", *words],
        env=environment(**variables),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        process_group=0,  # As a shell does, so that SIGTSTP works as with Ctrl-Z.
    )
    with process:
        try:
            yield CliProcess(process)
        finally:
            process.kill()


def run_cli(*words: str, **variables: str) -> Outcome:
    with start_cli(*words, **variables) as command:
        return command.wait()


class Tenant:
    """A new tenant on a service, and its state over HTTP."""

    def __init__(self, service: ServiceProcess, name: str) -> None:
        self.service = service
        self.name = name
        self._operator = self._client(service.admin_key)
        self._request(self._operator, "POST", "/v1/tenants", {"tenantId": name})
        self.key = self.issue("tenant")
        self._own = self._client(self.key)

    def close(self) -> None:
        self._operator.close()
        self._own.close()

    @property
    def variables(self) -> dict[str, str]:
        """Environment of a command that acts for the tenant."""
        return {"QUORATE_URL": self.service.url, "QUORATE_API_KEY": self.key}

    def issue(self, role: str, agent: str | None = None) -> str:
        body = {"tenantId": self.name, "role": role, **({"agentName": agent} if agent else {})}
        return str(self._request(self._operator, "POST", "/v1/keys", body)["key"])

    def register(self, agent: str) -> str:
        return str(self.request("POST", "/v1/agent/register", {"agentName": agent})["id"])

    def lease(self, agent: str, contact: str) -> Json:
        body = {"agentName": agent, "contactEmail": contact}
        lease: Json = self.request("POST", "/v1/agent/coordination/lease", body)
        return lease

    def release(self, lease_id: str) -> None:
        self.request("DELETE", f"/v1/agent/coordination/lease/{lease_id}")

    def leases(self) -> list[Json]:
        return list(self.request("GET", "/v1/agent/coordination/leases"))

    def events(self, type_: str | None = None) -> list[Json]:
        page = self.request("GET", "/v1/events?limit=1000" + (f"&type={type_}" if type_ else ""))
        return list(page["events"])

    @property
    def head(self) -> int:
        return int(self.request("GET", "/v1/events?limit=1")["head"])

    def request(self, method: str, path: str, body: Json | None = None) -> Any:  # noqa: ANN401 - JSON.
        return self._request(self._own, method, path, body)

    def _client(self, key: str) -> httpx2.Client:
        headers = {"Authorization": f"Bearer {key}"}
        # The service has no TLS, and loading certificates is slow.
        return httpx2.Client(
            base_url=self.service.url, headers=headers, timeout=30.0, verify=False, trust_env=False
        )

    @staticmethod
    def _request(client: httpx2.Client, method: str, path: str, body: Json | None = None) -> Any:  # noqa: ANN401 - JSON.
        response = client.request(method, path, json=body)
        # Some tests want a conflict.
        assert response.status_code in {200, 409}, response.text
        return response.json()


def wait_until(condition: Callable[[], object]) -> None:
    """Wait until the condition is true."""
    deadline = time.monotonic() + WAIT_TIMEOUT_SECONDS
    while not condition():
        assert time.monotonic() < deadline, "the condition stayed false"
        time.sleep(POLL_SECONDS)


def has_exited(pid: int) -> bool:
    """Whether a process has ended; a zombie counts as ended (Linux only)."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True


def is_stopped(pid: int) -> bool:
    """Whether a process is suspended (Linux only)."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "T"


def find_processes(text: str) -> list[int]:
    """Return the processes with this text in their command line (Linux only)."""
    found = []
    for each in Path("/proc").glob("[0-9]*"):
        try:
            arguments = (each / "cmdline").read_bytes()
        except OSError:
            continue  # It has ended.
        if text.encode() in arguments and int(each.name) != os.getpid():
            found.append(int(each.name))
    return found


def without_key(variables: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in variables.items() if name != "QUORATE_API_KEY"}
