"""nats-server asks us who may connect: an API key is a token, and gets exactly its subjects.

* Whoever cannot be authenticated, has no subjects, or cannot be looked up in time is refused. The
  server is answered in any case: a client that gets no answer believes that it is connected.
* What we sign has no end date, because nats-py does not survive one; a revoked key is kicked.
* A token is never logged, nor is anything else a client sent before it was known.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any, NoReturn, TypeAlias

import structlog
from nats.aio.msg import Msg
from nats.errors import Error as NatsError

from quorate.bus.auth import jwt
from quorate.bus.auth.jwt import JwtInvalid, NatsKey
from quorate.bus.connection import Connect, Connection, keep_connected
from quorate.bus.embedded.configuration import ACCOUNT
from quorate.bus.subjects import Permissions, SubjectInvalid, permissions
from quorate.domain.identity.api_keys import KEY_TEXT_LENGTH_MAX, Principal
from quorate.eventlog.metrics import Histogram

# Takes a key and the address that it came from.
Authenticate: TypeAlias = Callable[[str, str], Awaitable[Principal | None]]

_SUBJECT = "$SYS.REQ.USER.AUTH"
_AUDIENCE = "nats-authorization-request"
_SERVERS_INBOX = "$SYS._INBOX."
_QUEUE = "quorate-callout"
ANSWER_SECONDS_MAX = 1.5  # At 2 s a client takes silence for a yes.
LOGINS_AT_ONCE_MAX = 64
LOGINS_WAITING_MAX = 4_096
UNLIMITED = -1
TRANSPORTS = ("STANDARD", "WEBSOCKET")
SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, ANSWER_SECONDS_MAX, 2.5)
ACCEPTED, REJECTED = "accepted", "refused"

log = structlog.get_logger(__name__)


class Refusal(Exception):
    """Why a client may not connect, in words that the server's log may hold."""


class AuthCallout:
    """Answers on a connection of its own, so that logins never wait behind notifications."""

    def __init__(self, connect: Connect, authenticate: Authenticate, issuer: NatsKey) -> None:
        self._connect = connect
        self._authenticate = authenticate
        self._issuer = issuer
        self._logins: set[asyncio.Task[None]] = set()
        self._at_once = asyncio.Semaphore(LOGINS_AT_ONCE_MAX)
        self.ready = asyncio.Event()
        # How long each login took until its answer, by outcome.
        self.seconds = {outcome: Histogram(SECONDS) for outcome in (ACCEPTED, REJECTED)}

    async def run(self) -> NoReturn:
        await keep_connected(self._connect, self._session, name="quorate-callout")

    async def _session(self, connection: Connection) -> None:
        await connection.client.subscribe(_SUBJECT, queue=_QUEUE, cb=self._on_request)
        await connection.flush()
        self.ready.set()
        try:
            await connection.lost.wait()
        finally:
            self.ready.clear()
            for login in self._logins:
                login.cancel()

    async def _on_request(self, message: Msg) -> None:
        """nats-py runs one callback at a time: logins that wait for each other would be slow."""
        login = asyncio.create_task(self._answer(message, time.perf_counter()))
        self._logins.add(login)
        login.add_done_callback(self._logins.discard)

    async def _answer(self, message: Msg, came_at: float) -> None:
        try:
            asked = _read(message)
        except JwtInvalid as error:
            log.warning("nats_login_unreadable", error=str(error))
            return  # Not from a server: nobody waits for it.
        verdict: dict[str, Any] = {"type": "authorization_response", "version": 2}
        try:
            token = asked["connect_opts"].get("auth_token") or ""
            principal = await self._principal(token, str(asked["client_info"]["host"]))
            verdict["jwt"] = self._user(asked["user_nkey"], principal)
        except Refusal as refusal:
            verdict["error"] = str(refusal)
            log.info("nats_login_refused", reason=str(refusal), host=asked["client_info"]["host"])
        else:
            log.debug("nats_login", key_id=principal.key_id, role=principal.role)
        answer = {"sub": asked["user_nkey"], "aud": asked["server_id"]["id"], "nats": verdict}
        with suppress(NatsError):  # The server is gone, and the client with it.
            await message.respond(jwt.encode(self._issuer, answer).encode())
        outcome = REJECTED if "error" in verdict else ACCEPTED
        self.seconds[outcome].observe(time.perf_counter() - came_at)

    async def _principal(self, token: str, host: str) -> Principal:
        if not token or len(token) > KEY_TEXT_LENGTH_MAX:
            raise Refusal("an API key is needed as token")
        if len(self._logins) > LOGINS_WAITING_MAX:
            raise Refusal("too many logins at once, try again")
        try:
            async with asyncio.timeout(ANSWER_SECONDS_MAX), self._at_once:
                principal = await self._authenticate(token, host)
        except TimeoutError:
            raise Refusal("keys cannot be looked up in time, try again") from None
        except Exception:
            log.exception("nats_login_failed")
            raise Refusal("keys cannot be looked up, try again") from None
        if principal is None:
            raise Refusal("unknown or revoked key")
        return principal

    def _user(self, user: str, principal: Principal) -> str:
        try:
            allowed = permissions(principal)
        except SubjectInvalid as error:
            raise Refusal(str(error)) from error
        if allowed is None:
            raise Refusal(f"no subjects for the role {principal.role}")
        return jwt.encode(self._issuer, _claims(user, principal.key_id, allowed))


def _read(message: Msg) -> dict[str, Any]:
    """What is asked, if a server signed it and waits for the answer; raises JwtInvalid."""
    request = jwt.decode(message.data, signed_by="server")
    if request.get("aud") != _AUDIENCE or not message.reply.startswith(_SERVERS_INBOX):
        raise JwtInvalid("not a server's question")
    try:
        asked: dict[str, Any] = request["nats"]
        if request["iss"] != asked["server_id"]["id"]:
            raise JwtInvalid("signed by another server than the one that asks")
        _ = asked["user_nkey"], asked["connect_opts"].get, asked["client_info"]["host"]
    except (LookupError, TypeError, AttributeError) as error:
        raise JwtInvalid("not a server's question") from error
    return asked


def _claims(user: str, key_id: str, allowed: Permissions) -> dict[str, Any]:
    return {
        "sub": user,
        "aud": ACCOUNT,
        "name": key_id,  # By this name the connection is found when the key is revoked.
        "nats": {
            "type": "user",
            "version": 2,
            "pub": {"allow": allowed.publish_allow, "deny": allowed.publish_deny},
            "sub": {"allow": allowed.subscribe_allow, "deny": allowed.subscribe_deny},
            "subs": UNLIMITED,  # Here the server reads no limits; it has one for all clients.
            "data": UNLIMITED,
            "payload": UNLIMITED,
            "allowed_connection_types": TRANSPORTS,
        },
    }
