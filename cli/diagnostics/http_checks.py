"""Checks of `quorate doctor` over HTTP and on the local machine.

* Each check returns one result and changes nothing.
* A check is skipped if an earlier check did not find what it needs: fix the first failure first.
"""

import platform
import time
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx2
import orjson

from quorate import __version__
from quorate.cli.connection.profiles import contexts_path
from quorate.cli.diagnostics.results import CheckResult, failed, ok, skipped, warning
from quorate.cli.output.errors import UNAUTHORIZED, UNAVAILABLE
from quorate.client.transports.http_settings import (
    create_http_client,
    is_local,
    proxy_variables,
)
from quorate.contracts.event_log import LIST_EVENTS, STREAM_EVENTS
from quorate.contracts.health import LIVE, READY
from quorate.contracts.identity.api_keys import GET_OWN_KEY, KeyInfo
from quorate.contracts.notification_pages import LIST_NOTIFICATIONS, STREAM_NOTIFICATIONS
from quorate.domain.shared.records import record

CONNECT_TIMEOUT_SECONDS = 5.0
RESPONSE_TIMEOUT_SECONDS = 10.0
FIRST_BYTES_TIMEOUT_SECONDS = 5.0
MAX_SKEW_SECONDS = 1.0
# A Date header has a resolution of 1 s, and a server may reuse its value for another second.
MAX_DATE_AGE_SECONDS = 2.0
OTHERS_MASK = 0o077
EVERYONE_MASK = 0o007
DATABASES = ("quorate.db", "quorate.db-wal", "quorate.db-shm")
SECRETS = ("credentials.json", "nats/keys.json", "nats/nats-server.conf")
OK = 200
NO_BACKEND_STATUSES = {502, 503, 504}  # A proxy without a reachable backend.
KEY_REJECTED_STATUSES = {401, 403}


class Target:
    """The service to check, its key, and what earlier checks found."""

    def __init__(self, url: str, api_key: str, nats_url: str | None, data_dir: Path) -> None:
        self.url = url.rstrip("/")
        self.api_key = api_key
        self.nats_url = nats_url
        self.data_dir = data_dir
        self.is_reachable = False
        self.key: KeyInfo | None = None
        # A stream that starts here has an event to send at once; None: there are no events.
        self.stream_after: int | None = None
        self.clock: Clock | None = None
        self._client = create_http_client(
            httpx2.Client,
            url,
            timeout=httpx2.Timeout(RESPONSE_TIMEOUT_SECONDS, connect=CONNECT_TIMEOUT_SECONDS),
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._client.close()

    def get(self, path: str, **parameters: str | int) -> httpx2.Response:
        """Send a GET request; raises HTTPError without a response."""
        return self._client.get(self.url + path, params=parameters, headers=self.authorization)

    def first_bytes(self, path: str, **parameters: str | int) -> tuple[int, bytes]:
        """Return the status and the first bytes of a stream; raises HTTPError."""
        timeout = httpx2.Timeout(FIRST_BYTES_TIMEOUT_SECONDS)
        with self._client.stream(
            "GET", self.url + path, params=parameters, headers=self.authorization, timeout=timeout
        ) as response:
            return response.status_code, next(response.iter_raw(), b"")

    @property
    def authorization(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.api_key}"}


@record
class Clock:
    """Local times of a request and its response, and the Date header of the response."""

    sent_at: float
    server_time: float | None
    received_at: float

    @property
    def seconds_ahead(self) -> float:
        """Minimum lead of the local clock; negative if it is behind, 0 if unknown."""
        if self.server_time is None:
            return 0.0
        behind = self.server_time - self.received_at
        ahead = self.sent_at - (self.server_time + MAX_DATE_AGE_SECONDS)
        return max(0.0, ahead) - max(0.0, behind)


# -- Service -----------------------------------------------------------------

_ADDRESS_ADVICE = "Is the service running (`quorate serve`), and is the URL correct?"
_TLS_ADVICE = (
    "Is https:// correct, is the certificate valid, and does SSL_CERT_FILE contain its issuer?"
)


def address(target: Target) -> CheckResult:
    """Check that a Quorate service responds at the URL."""
    sent_at = time.time()
    try:
        response = target.get(LIVE.path)
    except (httpx2.InvalidURL, httpx2.UnsupportedProtocol):
        return failed(
            f"{target.url} is not a valid URL",
            "Set a URL such as http://127.0.0.1:8420 with --url or QUORATE_URL",
        )
    except httpx2.HTTPError as error:
        return failed(
            f"{target.url} does not respond: {_describe(error)}",
            _TLS_ADVICE if "SSL" in _describe(error) else _ADDRESS_ADVICE,
            UNAVAILABLE,
        )
    if response.status_code in NO_BACKEND_STATUSES:
        return failed(
            f"{target.url} is a proxy without a replica (GET {LIVE.path}: {response.status_code})",
            f"Check {READY.path} and the application log of each replica",
            UNAVAILABLE,
        )
    if response.status_code != OK or _parse_json(response).get("status") != "ok":
        return failed(
            f"{target.url} is not a Quorate service (GET {LIVE.path}: {response.status_code})",
            "Check the URL, and any proxy in front of the service",
        )
    target.is_reachable = True
    target.clock = Clock(
        sent_at=sent_at, server_time=_parse_date(response.headers), received_at=time.time()
    )
    return ok(f"{target.url} responds")


def proxy(target: Target) -> CheckResult:
    """Report the proxy that requests go through; one may delay streams or cut long polls."""
    names = " and ".join(proxy_variables())
    if not names:
        return ok("no proxy is configured")
    if is_local(target.url):
        return ok(f"{names} is not used for a service on this machine")
    return warning(
        f"requests may go through the proxy of {names}",
        "Set NO_PROXY to the host of the service if the proxy buffers streams or blocks it",
    )


def readiness(target: Target) -> CheckResult:
    """Check that the service accepts commands and publishes notifications."""
    if not target.is_reachable:
        return skipped("the service does not respond")
    response = target.get(READY.path)
    ready = _parse_json(response)
    if response.status_code != OK:
        return failed(
            f"the service accepts no commands: its event log is {ready.get('log', 'unavailable')}",
            "Check the application log and the disk of the service",
            UNAVAILABLE,
        )
    if ready.get("status") == "degraded":
        return _degraded(ready)
    return ok("accepts commands and publishes notifications")


def _degraded(ready: Mapping[str, Any]) -> CheckResult:
    if "writes" in ready:
        return failed(
            "the last write to the event log failed",
            "Is the disk full? See log.write_failed in the application log",
            UNAVAILABLE,
        )
    if ready.get("nats") != "connected":
        return warning(
            "commands are accepted, but NATS is disconnected: notifications stay in the outbox",
            "Check nats-server; agents that use only HTTP are not affected",
        )
    if "clock" in ready:
        return _clock_was_set(ready["clock"])
    if "mirror" in ready:
        return warning(
            f"commands are accepted, but the JetStream mirror is {ready['mirror']}",
            "See mirror.stopped in the application log",
        )
    return warning(
        "commands are accepted, but this replica receives no commit notifications",
        "Check the application log and the connection to the database",
    )


def _clock_was_set(clock: str) -> CheckResult:
    if clock == "ahead":
        return warning(
            "the clock of the service was set back: the time of its log is ahead of it",
            "Leases last up to a ninth longer until the clock has caught up; check NTP there",
        )
    return warning(
        "the clock of the service jumped ahead: the time of its log does not follow yet",
        "It follows if the clock is still ahead after a minute; check NTP there",
    )


def clock(target: Target) -> CheckResult:
    """Compare the local clock with the Date header of the service."""
    if target.clock is None:
        return skipped("the service does not respond")
    if target.clock.server_time is None:
        return warning("no Date header in responses", "Does a proxy remove it?")
    ahead = target.clock.seconds_ahead
    if abs(ahead) <= MAX_SKEW_SECONDS:
        return ok("the local clock and the clock of the service agree")
    which = "ahead of" if ahead > 0 else "behind"
    return warning(
        f"the local clock is {abs(ahead):.0f} s {which} the clock of the service",
        "Synchronize the clocks (NTP). The clock of the service decides when leases end",
    )


# -- Key and log -------------------------------------------------------------


def key(target: Target) -> CheckResult:
    """Check that the service accepts the key, and find its role."""
    if not target.is_reachable:
        return skipped("the service does not respond")
    response = target.get(GET_OWN_KEY.path)
    if response.status_code in KEY_REJECTED_STATUSES:
        return failed(
            "the service rejects the key",
            "Is it complete, revoked, or from another service? `quorate keys issue` issues a key",
            UNAUTHORIZED,
        )
    try:
        found = target.key = KeyInfo.from_json(_parse_json(response))
    except (KeyError, TypeError, ValueError):
        return failed(
            f"the service does not describe the key ({response.status_code})",
            "The service may be older: compare the versions below",
        )
    whose = f" for {found.agent_name} ({found.agent_id})" if found.agent_id else ""
    return ok(f"{found.role} key of tenant {found.tenant_id}{whose}")


def log(target: Target) -> CheckResult:
    """Read the last sequence number of the log or of the notifications."""
    if target.key is None:
        return skipped("the key was not verified")
    match target.key.role:
        case "admin":
            return skipped("the admin key cannot read the log of a tenant")
        case "mail":
            return skipped("a key of a mail server cannot read the log")
        case "agent":
            response = target.get(LIST_NOTIFICATIONS.path, after=0, limit=1)
        case "tenant" | "auditor":
            response = target.get(LIST_EVENTS.path, after=0, limit=1)
    page = _parse_json(response)
    head = page.get("head")
    if response.status_code != OK or not isinstance(head, int):
        return failed(
            f"cannot read the event log: {_problem_title(response)}",
            "Check the application log",
            UNAVAILABLE,
        )
    if page.get("events") or page.get("notifications") or page.get("gap"):
        target.stream_after = 0 if target.key.role == "agent" else max(0, head - 1)
    return ok(f"the event log ends with event {head}")


def notifications(target: Target) -> CheckResult:
    """Check that the first bytes of an event stream arrive; a proxy may buffer them."""
    if target.key is None or target.key.role in {"admin", "mail"}:
        return skipped("this key cannot read events")
    if target.stream_after is None:
        return skipped("no notifications yet")
    operation = STREAM_NOTIFICATIONS if target.key.role == "agent" else STREAM_EVENTS
    try:
        status, first_bytes = target.first_bytes(operation.path, after=target.stream_after)
    except httpx2.ReadTimeout:
        return warning(
            f"no data on the event stream within {FIRST_BYTES_TIMEOUT_SECONDS:.0f} s",
            "Does a proxy buffer responses? Disable buffering for text/event-stream",
        )
    except httpx2.HTTPError as error:
        return failed(
            f"the event stream failed: {_describe(error)}",
            "Check any proxy in front of the service",
            UNAVAILABLE,
        )
    if status != OK or not first_bytes:
        return failed(f"the event stream was rejected ({status})", "Check the log", UNAVAILABLE)
    return ok("event stream OK")


# -- Local machine -----------------------------------------------------------


def versions(target: Target) -> CheckResult:
    """Compare the versions of client and service."""
    local = f"client {__version__}, Python {platform.python_version()}"
    if not target.is_reachable:
        return ok(local)
    version = _parse_json(target.get("/readyz")).get("version")
    if version != __version__:
        return warning(f"service {version}, {local}", "Install the same version on both sides")
    return ok(f"service {version}, {local}")


def files(target: Target) -> CheckResult:
    """Check that only the owner can read stored secrets, and not everyone the database."""
    data_dir, profiles = target.data_dir, contexts_path()
    stored = [path for path in (*(data_dir / name for name in SECRETS), profiles) if path.exists()]
    if not stored:
        return skipped(f"no stored secrets in {data_dir} or {profiles.parent}")
    folders = {data_dir, profiles.parent} & {
        ancestor for path in stored for ancestor in path.parents
    }
    exposed = sorted(path for path in (*folders, *stored) if path.stat().st_mode & OTHERS_MASK)
    databases = (data_dir / name for name in DATABASES)
    exposed += [path for path in databases if path.exists() and _is_open_to_everyone(path)]
    if exposed:
        named = " ".join(str(path) for path in exposed)
        return failed(
            f"other users can access {named}",
            f"chmod go= {named}; issue new keys if other users had access",
        )
    return ok("credential file permissions OK")


def _is_open_to_everyone(path: Path) -> bool:
    return bool(path.stat().st_mode & EVERYONE_MASK)


# -- Responses --------------------------------------------------------------------


def _parse_json(response: httpx2.Response) -> dict[str, Any]:
    try:
        found = orjson.loads(response.content)
    except orjson.JSONDecodeError:
        return {}
    return found if isinstance(found, dict) else {}


def _problem_title(response: httpx2.Response) -> str:
    return str(_parse_json(response).get("title") or response.status_code)


def _describe(error: httpx2.HTTPError) -> str:
    return str(error) or type(error).__name__


def _parse_date(headers: Mapping[str, str]) -> float | None:
    try:
        return parsedate_to_datetime(headers["date"]).timestamp()
    except (KeyError, ValueError):
        return None
