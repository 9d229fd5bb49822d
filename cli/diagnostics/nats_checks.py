"""Checks of `quorate doctor` on NATS: login, subscriptions and requests.

The nats-server reports a forbidden subscription with a later error, not in the subscribe call. So
the check flushes the connection before it counts a subscription as accepted.
"""

import asyncio
from collections.abc import Sequence
from contextlib import suppress

import orjson
from nats.aio.client import Client
from nats.errors import Error as NatsError

from quorate.cli.diagnostics.http_checks import Target
from quorate.cli.diagnostics.results import CheckResult, failed, ok, skipped, warning
from quorate.cli.output.errors import UNAUTHORIZED, UNAVAILABLE
from quorate.contracts.identity.api_keys import KeyInfo
from quorate.runtime.nats_client import TlsClient

CONNECT_TIMEOUT_SECONDS = 5
RESPONSE_TIMEOUT_SECONDS = 5.0


def nats(target: Target) -> CheckResult:
    """Check the login, the subscriptions and, with an agent key, a request."""
    if target.key is None:
        return skipped("the key was not verified")
    if target.key.role in {"admin", "mail"}:
        return skipped(f"a key of role {target.key.role} cannot use NATS")
    if target.nats_url is None:
        return skipped("no NATS URL configured: set --nats-url or QUORATE_NATS_URL to check")
    servers = [server.strip() for server in target.nats_url.split(",")]
    found = [asyncio.run(_check_server(server, target.api_key, target.key)) for server in servers]
    wrong = [each for each in found if each.outcome != "ok"]
    unavailable = [each for each in wrong if each.exit_code == UNAVAILABLE]
    reachable = len(found) - len(unavailable)
    if unavailable and len(unavailable) == len(wrong) < len(found):
        # A cluster works without one of three servers.
        return warning(
            f"{unavailable[0].message}; {reachable} other servers respond", _SERVER_ADVICE
        )
    return next(iter(wrong), found[0])


async def _check_server(url: str, api_key: str, key: KeyInfo) -> CheckResult:
    client = TlsClient()
    errors: list[str] = []

    async def on_error(error: Exception) -> None:
        errors.append(str(error))

    try:
        async with asyncio.timeout(CONNECT_TIMEOUT_SECONDS):
            await client.connect(
                url,
                token=api_key,
                inbox_prefix=f"_INBOX_{key.tenant_id}_{key.agent_id or key.id}",
                allow_reconnect=False,  # A rejected key must fail at once.
                max_reconnect_attempts=1,
                connect_timeout=CONNECT_TIMEOUT_SECONDS,
                error_cb=on_error,
            )
            if not client.is_connected:  # nats-py does not report a login timeout.
                raise TimeoutError
    except (NatsError, OSError, ValueError) as error:
        await _close(client)
        return _login_failure(url, errors or [str(error) or type(error).__name__])
    try:
        return await _check_subscriptions(url, client, key, errors)
    finally:
        await _close(client)


async def _check_subscriptions(
    url: str, client: Client, key: KeyInfo, errors: Sequence[str]
) -> CheckResult:
    subjects = _subjects(key)
    for subject in subjects:
        await client.subscribe(subject)
    try:
        await client.flush(timeout=int(RESPONSE_TIMEOUT_SECONDS))
    except (NatsError, OSError) as error:
        return failed(
            f"{url} accepts the login, then does not respond: {error}",
            _CONNECTION_ADVICE,
            UNAVAILABLE,
        )
    if errors:
        return failed(
            f"{url} accepts the login, but rejects a subscription of this key: {errors[0]}",
            "Is the nats-server configured with `quorate nats-config`?",
        )
    if key.role != "agent":
        return ok(f"{url}: connected; subscribed to {len(subjects)} subjects")
    return await _check_requests(url, client, key)


async def _check_requests(url: str, client: Client, key: KeyInfo) -> CheckResult:
    """Send a request over NATS; the response must be about the agent of the key."""
    subject = f"quorate.{key.tenant_id}.cmd.{key.agent_id}.getAgent"
    try:
        message = await client.request(subject, b"{}", timeout=RESPONSE_TIMEOUT_SECONDS)
        response = orjson.loads(message.data)
        # The agent of a key may be unregistered; that error is a valid response.
        is_valid = response.get("id") == key.agent_id or response.get("code") == "agent_not_found"
    except (NatsError, OSError, ValueError, AttributeError):
        is_valid = False
    if not is_valid:
        return warning(
            f"{url}: connected, but the service does not respond to requests over NATS",
            "Does this service use this NATS? Requests over HTTP work",
        )
    return ok(f"{url}: connected; subscribed to {len(_subjects(key))} subjects, requests OK")


def _subjects(key: KeyInfo) -> Sequence[str]:
    own = f"quorate.{key.tenant_id}.agent.{key.agent_id or '*'}.>"
    everyone, log = f"quorate.{key.tenant_id}.all.>", f"quorate.{key.tenant_id}.log.>"
    match key.role:
        case "agent":
            return own, everyone
        case "auditor":
            return everyone, log
        case _:
            return own, everyone, log


def _login_failure(url: str, errors: Sequence[str]) -> CheckResult:
    rejection = next((one for one in errors if "authorization" in one.lower()), None)
    if rejection:
        return failed(
            f"{url} rejects this key: {rejection}",
            "Is it the nats-server of this service, configured with `quorate nats-config`?",
            UNAUTHORIZED,
        )
    return failed(f"{url} does not respond: {errors[0]}", _CONNECTION_ADVICE, UNAVAILABLE)


_SERVER_ADVICE = "Agents use the other servers. Is this server running, and is its URL correct?"
_CONNECTION_ADVICE = (
    "Is nats-server running, and is the URL correct? Agents that use only HTTP do not need it"
)


async def _close(client: Client) -> None:
    """Close the client, and the socket of a rejected login, which nats-py leaves open."""
    with suppress(NatsError, OSError):
        await client.close()
    stream = getattr(client._transport, "_io_writer", None)  # noqa: SLF001 - has no getter.
    if stream is not None:
        stream.close()
        with suppress(OSError):
            await stream.wait_closed()
