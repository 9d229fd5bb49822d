"""What `quorate doctor` looks at over HTTP and on this machine, one question at a time.

Each check asks one question and answers with one finding, whatever it meets. It only reads. What
an earlier check did not find out, a later one that needs it passes over: the first failure is the
one to mend.
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
from quorate.cli.diagnostics.results import CheckResult, failed, skipped, warning, well
from quorate.cli.output.errors import UNAUTHORIZED, UNAVAILABLE
from quorate.client.results import KeyInfo
from quorate.domain.shared.records import record

CONNECT_SECONDS_MAX = 5.0
ANSWER_SECONDS_MAX = 10.0
FIRST_BYTES_SECONDS_MAX = 5.0
SKEW_SECONDS_MAX = 1.0
# A Date is cut to the second, and a server may write the same one for as long again.
DATE_SECONDS_OLD_MAX = 2.0
OTHERS_MASK = 0o077
SECRETS = ("credentials.json", "nats/keys.json", "nats/nats-server.conf")
OK = 200
NOBODY_BEHIND_STATUSES = {502, 503, 504}  # What proxies say then.
REFUSED_STATUSES = {401, 403}


class Target:
    """A service as one key sees it, and what is known of it so far."""

    def __init__(self, url: str, api_key: str, nats_url: str | None, data_dir: Path) -> None:
        self.url = url.rstrip("/")
        self.api_key = api_key
        self.nats_url = nats_url
        self.data_dir = data_dir
        self.answers = False
        self.key: KeyInfo | None = None
        # Where a stream begins that has something to say at once; None: nothing was ever said.
        self.stream_after: int | None = None
        self.clock: Clock | None = None
        self._client = httpx2.Client(
            timeout=httpx2.Timeout(ANSWER_SECONDS_MAX, connect=CONNECT_SECONDS_MAX)
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
        """Raises HTTPError when nobody answers."""
        return self._client.get(self.url + path, params=parameters, headers=self.authorization)

    def first_bytes(self, path: str, **parameters: str | int) -> tuple[int, bytes]:
        """A stream's status and what it begins with; raises HTTPError."""
        timeout = httpx2.Timeout(FIRST_BYTES_SECONDS_MAX)
        with self._client.stream(
            "GET", self.url + path, params=parameters, headers=self.authorization, timeout=timeout
        ) as response:
            return response.status_code, next(response.iter_raw(), b"")

    @property
    def authorization(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.api_key}"}


@record
class Clock:
    """When the service was asked and when it answered, by our clock; the time that it told."""

    asked_at: float
    told_at: float | None
    answered_at: float

    @property
    def seconds_ahead(self) -> float:
        """How much our clock is ahead, at least; negative when behind, 0 when nobody can say."""
        if self.told_at is None:
            return 0.0
        behind = self.told_at - self.answered_at
        ahead = self.asked_at - (self.told_at + DATE_SECONDS_OLD_MAX)
        return max(0.0, ahead) - max(0.0, behind)


# -- Is it there -------------------------------------------------------------

_OF_ADDRESS = "Is the service running (`quorate serve`), and is this its address?"
_OF_TLS = (
    "Is it https:// there, is its certificate still good, and does SSL_CERT_FILE trust who signed?"
)


def address(patient: Target) -> CheckResult:
    """Does anybody answer at the URL, and is it Quorate?"""
    asked_at = time.time()
    try:
        response = patient.get("/livez")
    except (httpx2.InvalidURL, httpx2.UnsupportedProtocol):
        return failed(
            f"{patient.url} is not an address",
            "Give one like http://127.0.0.1:8420 with --url or in QUORATE_URL",
        )
    except httpx2.HTTPError as error:
        return failed(
            f"{patient.url} does not answer: {_why(error)}",
            _OF_TLS if "SSL" in _why(error) else _OF_ADDRESS,
            UNAVAILABLE,
        )
    if response.status_code in NOBODY_BEHIND_STATUSES:
        return failed(
            f"{patient.url} answers, but no replica behind it (GET /livez: {response.status_code})",
            "Ask each replica for /readyz, and look at their own logs",
            UNAVAILABLE,
        )
    if response.status_code != OK or _json(response).get("status") != "ok":
        return failed(
            f"{patient.url} answers, but it is not Quorate (GET /livez: {response.status_code})",
            "Check the address; is a proxy in between?",
        )
    patient.answers = True
    patient.clock = Clock(
        asked_at=asked_at, told_at=_date(response.headers), answered_at=time.time()
    )
    return well(f"{patient.url} answers")


def readiness(patient: Target) -> CheckResult:
    """Does it take commands, and does it push?"""
    if not patient.answers:
        return skipped("nobody answers")
    response = patient.get("/readyz")
    ready = _json(response)
    if response.status_code != OK:
        return failed(
            f"it takes no commands: its log is {ready.get('log', 'unavailable')}",
            "Look at the service's own log, and at its disk",
            UNAVAILABLE,
        )
    if ready.get("status") == "degraded":
        return _degraded(ready)
    return well("commands are taken and notifications pushed")


def _degraded(ready: Mapping[str, Any]) -> CheckResult:
    if "writes" in ready:
        return failed(
            "the last command could not be written",
            "Is the disk full, or the database's? The service's own log says it: log.write_failed",
            UNAVAILABLE,
        )
    if ready.get("nats") != "connected":
        return warning(
            "commands are taken, but the service has lost NATS: notifications wait on disk",
            "Look after nats-server; agents over HTTP alone are not touched",
        )
    if "mirror" in ready:
        return warning(
            f"commands are taken, but the copy of the log in JetStream is {ready['mirror']}",
            "Look at the service's own log for mirror_halted",
        )
    return warning(
        "commands are taken, but this process does not hear of others' commits",
        "Look at the service's own log; can it reach its database?",
    )


def clock(patient: Target) -> CheckResult:
    """Do the service's clock and ours agree, as far as its Date header can tell?"""
    if patient.clock is None:
        return skipped("nobody answers")
    if patient.clock.told_at is None:
        return warning("the service's answers bear no Date", "Is a proxy in between?")
    ahead = patient.clock.seconds_ahead
    if abs(ahead) <= SKEW_SECONDS_MAX:
        return well("this machine's clock and the service's agree")
    which = "ahead of" if ahead > 0 else "behind"
    return warning(
        f"this machine's clock is {abs(ahead):.0f} s {which} the service's",
        "Set the clocks (NTP). Leases end by the service's clock, whatever is shown here",
    )


# -- Who are we --------------------------------------------------------------


def key(patient: Target) -> CheckResult:
    """Whose key is it?"""
    if not patient.answers:
        return skipped("nobody answers")
    response = patient.get("/v1/keys/self")
    if response.status_code in REFUSED_STATUSES:
        return failed(
            "the key is not accepted",
            "It may be mistyped, revoked or another service's: `quorate keys issue` makes one",
            UNAUTHORIZED,
        )
    try:
        found = patient.key = KeyInfo.read(_json(response))
    except (KeyError, TypeError, ValueError):
        return failed(
            f"the service does not say whose key it is ({response.status_code})",
            "An older service cannot: compare the versions below",
        )
    whose = f" for {found.agent_name} ({found.agent_id})" if found.agent_id else ""
    return well(f"{found.role} key of tenant {found.tenant_id}{whose}")


def log(patient: Target) -> CheckResult:
    """Can the log, or what concerns the agent in it, be read, and how long is it?"""
    if patient.key is None:
        return skipped("the key is not known")
    match patient.key.role:
        case "admin":
            return skipped("an operator's key reads no tenant's log")
        case "agent":
            response = patient.get("/v1/agent/notifications", after=0, limit=1)
        case "tenant" | "auditor":
            response = patient.get("/v1/events", after=0, limit=1)
    page = _json(response)
    head = page.get("head")
    if response.status_code != OK or not isinstance(head, int):
        return failed(
            f"the log cannot be read: {_said(response)}", "See the service's log", UNAVAILABLE
        )
    if page.get("events") or page.get("notifications") or page.get("gap"):
        patient.stream_after = 0 if patient.key.role == "agent" else max(0, head - 1)
    return well(f"the tenant's log ends with event {head}")


def notifications(patient: Target) -> CheckResult:
    """Do a stream's first bytes get through? What lies in between may hold them back."""
    if patient.key is None or patient.key.role == "admin":
        return skipped("nothing can be read with this key")
    if patient.stream_after is None:
        return skipped("nothing was said yet that could come through")
    path = "/v1/agent/notifications/stream" if patient.key.role == "agent" else "/v1/events/stream"
    try:
        status, began = patient.first_bytes(path, after=patient.stream_after)
    except httpx2.ReadTimeout:
        return warning(
            f"the stream brought nothing within {FIRST_BYTES_SECONDS_MAX:.0f} s",
            "Is a proxy in between that gathers answers? Let it pass text/event-stream at once",
        )
    except httpx2.HTTPError as error:
        return failed(f"the stream broke: {_why(error)}", "Is a proxy in between?", UNAVAILABLE)
    if status != OK or not began:
        return failed(f"the stream is refused ({status})", "See the service's log", UNAVAILABLE)
    return well("the stream's first bytes come through")


# -- What do we have here ----------------------------------------------------


def versions(patient: Target) -> CheckResult:
    """Were client and service made for each other?"""
    ours = f"client {__version__}, Python {platform.python_version()}"
    if not patient.answers:
        return well(ours)
    version = _json(patient.get("/openapi.json")).get("info", {}).get("version")
    if version != __version__:
        return warning(
            f"service {version}, {ours}", "Install the same version on both sides when you can"
        )
    return well(f"service {version}, {ours}")


def files(patient: Target) -> CheckResult:
    """Are secrets that are kept here for their owner alone?"""
    folder, remembered = patient.data_dir, contexts_path()
    kept = [path for path in (*(folder / name for name in SECRETS), remembered) if path.exists()]
    if not kept:
        return skipped(f"no secrets are kept here, neither in {folder} nor in {remembered.parent}")
    folders = {folder, remembered.parent} & {ancestor for path in kept for ancestor in path.parents}
    open_ones = sorted(path for path in (*folders, *kept) if path.stat().st_mode & OTHERS_MASK)
    if open_ones:
        named = " ".join(str(path) for path in open_ones)
        return failed(
            f"others on this machine may get at {named}",
            f"chmod go= {named}; and issue new keys if others have been here",
        )
    return well("keys that are kept here are for their owner alone")


# -- Reading answers ---------------------------------------------------------


def _json(response: httpx2.Response) -> dict[str, Any]:
    try:
        found = orjson.loads(response.content)
    except orjson.JSONDecodeError:
        return {}
    return found if isinstance(found, dict) else {}


def _said(response: httpx2.Response) -> str:
    return str(_json(response).get("title") or response.status_code)


def _why(error: httpx2.HTTPError) -> str:
    return str(error) or type(error).__name__


def _date(headers: Mapping[str, str]) -> float | None:
    try:
        return parsedate_to_datetime(headers["date"]).timestamp()
    except (KeyError, ValueError):
        return None
