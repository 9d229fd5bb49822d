"""NATS auth callout: authenticate each login by API key and return its permissions.

* A login is rejected when the key is invalid, has no subjects, or cannot be looked up in time.
* Every request of the server gets a response. A client without one believes that it is connected.
* The signed user has no expiry, because nats-py does not survive one. When a key is revoked, its
  connections are closed (bus/auth/connections.py).
* Logins of an agent that floods, and of a key above its limits, are rejected for a while.
* Tokens and other input of unauthenticated clients are never logged.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any, NoReturn, TypeAlias

import structlog
from nats.aio.msg import Msg
from nats.errors import Error as NatsError
from prometheus_client import CollectorRegistry, Histogram

from quorate.bus.auth import jwt
from quorate.bus.auth.jwt import JwtInvalid, NatsKey
from quorate.bus.connection import Connect, Connection, keep_connected
from quorate.bus.embedded.configuration import ACCOUNT
from quorate.bus.embedded.login_gate import PROBE_SUBJECT
from quorate.bus.subjects import Permissions, SubjectInvalid, permissions
from quorate.contracts.problems import Problem
from quorate.domain.identity.key_format import KEY_TEXT_LENGTH_MAX
from quorate.domain.identity.principals import Principal

# Takes a key and the client's address; raises Problem for a valid key that may not be used now.
Authenticate: TypeAlias = Callable[[str, str], Awaitable[Principal | None]]

_SUBJECT = "$SYS.REQ.USER.AUTH"
_AUDIENCE = "nats-authorization-request"
_SERVERS_INBOX = "$SYS._INBOX."
_QUEUE = "quorate-callout"
RESPONSE_SECONDS_MAX = 1.5  # After 2 s without a response a client believes it is connected.
CONCURRENT_LOGINS_MAX = 64
WAITING_LOGINS_MAX = 4_096
UNLIMITED = -1
TRANSPORTS = ("STANDARD", "WEBSOCKET")
SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, RESPONSE_SECONDS_MAX, 2.5)
ACCEPTED, REJECTED = "accepted", "refused"

log = structlog.get_logger(__name__)


class LoginRejected(Exception):
    """Why a client may not connect; the text may appear in the log of nats-server."""


class AuthCallout:
    """Responds on a separate connection, so that logins never wait behind notifications."""

    def __init__(
        self,
        connect: Connect,
        authenticate: Authenticate,
        issuer: NatsKey,
        registry: CollectorRegistry | None = None,
        *,
        on_login: Callable[[Principal], str | None] = lambda _principal: None,
    ) -> None:
        """``on_login`` returns the reason for which a valid key may not connect now, if any."""
        self._on_login = on_login
        self._connect = connect
        self._authenticate = authenticate
        self._issuer = issuer
        self._logins: set[asyncio.Task[None]] = set()
        self._concurrency = asyncio.Semaphore(CONCURRENT_LOGINS_MAX)
        self.ready = asyncio.Event()
        seconds = Histogram(
            "quorate_auth_callout_seconds",
            "Time to answer a NATS login (auth callout), in seconds, by outcome.",
            ("outcome",),
            registry=registry,
            buckets=SECONDS,
        )
        self._seconds = {outcome: seconds.labels(outcome) for outcome in (ACCEPTED, REJECTED)}

    async def run(self) -> NoReturn:
        await keep_connected(self._connect, self._handle_connection, name="quorate-callout")

    async def _handle_connection(self, connection: Connection) -> None:
        await connection.client.subscribe(_SUBJECT, queue=_QUEUE, cb=self._on_request)
        await connection.client.subscribe(PROBE_SUBJECT, queue=_QUEUE, cb=_respond_to_probe)
        await connection.flush()
        self.ready.set()
        try:
            await connection.lost.wait()
        finally:
            self.ready.clear()
            for login in self._logins:
                login.cancel()

    async def _on_request(self, message: Msg) -> None:
        """Start a task: nats-py runs one callback at a time, and logins must not wait in turn."""
        login = asyncio.create_task(self._respond(message, time.perf_counter()))
        self._logins.add(login)
        login.add_done_callback(self._logins.discard)

    async def _respond(self, message: Msg, received_at: float) -> None:
        try:
            request = _read(message)
        except JwtInvalid as error:
            log.warning("nats.login_malformed", error=str(error))
            return  # Not from a server, so no server waits for a response.
        verdict: dict[str, Any] = {"type": "authorization_response", "version": 2}
        try:
            token = request["connect_opts"].get("auth_token") or ""
            principal = await self._authenticate_token(token, str(request["client_info"]["host"]))
            verdict["jwt"] = self._encode_user(request["user_nkey"], principal)
        except LoginRejected as rejection:
            host = request["client_info"]["host"]
            verdict["error"] = str(rejection)
            log.info("nats.login_rejected", reason=str(rejection), host=host)
        else:
            log.debug("nats.login_accepted", key_id=principal.key_id, role=principal.role)
        response = {"sub": request["user_nkey"], "aud": request["server_id"]["id"], "nats": verdict}
        with suppress(NatsError):  # The server is gone, and the client with it.
            await message.respond(jwt.encode(self._issuer, response).encode())
        outcome = REJECTED if "error" in verdict else ACCEPTED
        self._seconds[outcome].observe(time.perf_counter() - received_at)

    async def _authenticate_token(self, token: str, host: str) -> Principal:
        if not token or len(token) > KEY_TEXT_LENGTH_MAX:
            raise LoginRejected("an API key is required as token")
        if len(self._logins) > WAITING_LOGINS_MAX:
            raise LoginRejected("too many logins at once, try again")
        try:
            async with asyncio.timeout(RESPONSE_SECONDS_MAX), self._concurrency:
                principal = await self._authenticate(token, host)
        except TimeoutError:
            raise LoginRejected("the key lookup timed out, try again") from None
        except Problem as problem:
            raise LoginRejected(problem.code) from None
        except Exception:
            log.exception("nats.login_failed")
            raise LoginRejected("the key lookup failed, try again") from None
        if principal is None:
            raise LoginRejected("unknown or revoked key")
        if (reason := self._on_login(principal)) is not None:
            raise LoginRejected(reason)
        return principal

    def _encode_user(self, user: str, principal: Principal) -> str:
        try:
            allowed = permissions(principal)
        except SubjectInvalid as error:
            raise LoginRejected(str(error)) from error
        if allowed is None:
            raise LoginRejected(f"no subjects for the role {principal.role}")
        return jwt.encode(self._issuer, _claims(user, principal.key_id, allowed))


async def _respond_to_probe(message: Msg) -> None:
    with suppress(NatsError):
        await message.respond(b"")


def _read(message: Msg) -> dict[str, Any]:
    """Return the request of a server that signed it and waits for a response.

    Raises JwtInvalid.
    """
    claims = jwt.decode(message.data, signed_by="server")
    if claims.get("aud") != _AUDIENCE or not message.reply.startswith(_SERVERS_INBOX):
        raise JwtInvalid("not an authorization request of a server")
    try:
        request: dict[str, Any] = claims["nats"]
        if claims["iss"] != request["server_id"]["id"]:
            raise JwtInvalid("signed by another server than the sender")
        _ = request["user_nkey"], request["connect_opts"].get, request["client_info"]["host"]
    except (LookupError, TypeError, AttributeError) as error:
        raise JwtInvalid("not an authorization request of a server") from error
    return request


def _claims(user: str, key_id: str, allowed: Permissions) -> dict[str, Any]:
    return {
        "sub": user,
        "aud": ACCOUNT,
        "name": key_id,  # Used to find the connection when the key is revoked.
        "nats": {
            "type": "user",
            "version": 2,
            "pub": {"allow": allowed.publish_allow, "deny": allowed.publish_deny},
            "sub": {"allow": allowed.subscribe_allow, "deny": allowed.subscribe_deny},
            "subs": UNLIMITED,  # The server ignores limits here; it has one for all clients.
            "data": UNLIMITED,
            "payload": UNLIMITED,
            "allowed_connection_types": TRANSPORTS,
        },
    }
