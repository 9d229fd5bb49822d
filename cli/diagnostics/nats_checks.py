"""What `quorate doctor` looks at on NATS: whether this key gets in, and hears what it should.

A key that may not hear a subject is not told so when it subscribes, but by an error that comes
after; so nothing counts as heard before the server has answered what was sent later.
"""

import asyncio
from collections.abc import Sequence
from contextlib import suppress

import orjson
from nats.aio.client import Client
from nats.errors import Error as NatsError

from quorate.cli.diagnostics.http_checks import Target
from quorate.cli.diagnostics.results import CheckResult, failed, skipped, warning, well
from quorate.cli.output.errors import UNAUTHORIZED, UNAVAILABLE
from quorate.client.results import KeyInfo
from quorate.client.transports.nats_connection import StrictClient

CONNECT_SECONDS_MAX = 5
ANSWER_SECONDS_MAX = 5.0


def nats(patient: Target) -> CheckResult:
    """Does this key get in, hear its subjects and, if it is an agent's, get its answers?"""
    if patient.key is None:
        return skipped("the key is not known")
    if patient.key.role == "admin":
        return skipped("an operator's key has no business on NATS")
    if patient.nats_url is None:
        return skipped("no NATS address is known: give --nats-url or QUORATE_NATS_URL to look")
    servers = [server.strip() for server in patient.nats_url.split(",")]
    found = [asyncio.run(_examined(server, patient.api_key, patient.key)) for server in servers]
    wrong = [each for each in found if each.outcome != "ok"]
    away = [each for each in wrong if each.exit_code == UNAVAILABLE]
    if away and len(away) == len(wrong) < len(found):  # A cluster goes on without one of three.
        return warning(f"{away[0].says}; {len(found) - len(away)} others do", _LOOK_AFTER)
    return next(iter(wrong), found[0])


async def _examined(url: str, api_key: str, key: KeyInfo) -> CheckResult:
    client = StrictClient()
    errors: list[str] = []

    async def on_error(error: Exception) -> None:
        errors.append(str(error))

    try:
        async with asyncio.timeout(CONNECT_SECONDS_MAX):
            await client.connect(
                url,
                token=api_key,
                inbox_prefix=f"_INBOX_{key.tenant_id}_{key.agent_id or key.id}",
                allow_reconnect=False,  # So that a refused key fails at once.
                max_reconnect_attempts=1,
                connect_timeout=CONNECT_SECONDS_MAX,
                error_cb=on_error,
            )
            if not client.is_connected:  # The login took too long: nats-py does not say so.
                raise TimeoutError
    except (NatsError, OSError, ValueError) as error:
        await _close(client)
        return _no_way_in(url, errors or [str(error) or type(error).__name__])
    try:
        return await _heard(url, client, key, errors)
    finally:
        await _close(client)


async def _heard(url: str, client: Client, key: KeyInfo, errors: Sequence[str]) -> CheckResult:
    subjects = _subjects(key)
    for subject in subjects:
        await client.subscribe(subject)
    try:
        await client.flush(timeout=int(ANSWER_SECONDS_MAX))
    except (NatsError, OSError) as error:
        return failed(f"{url} lets us in and falls silent: {error}", _LOOK, UNAVAILABLE)
    if errors:
        return failed(
            f"{url} lets us in, but not hear all that this key may: {errors[0]}",
            "Is the nats-server configured as `quorate nats-config` prints?",
        )
    if key.role != "agent":
        return well(f"{url} lets us in; {len(subjects)} families of subjects can be heard")
    return await _answered(url, client, key)


async def _answered(url: str, client: Client, key: KeyInfo) -> CheckResult:
    """An agent's key can also ask over NATS: the answer must be about that agent."""
    subject = f"quorate.{key.tenant_id}.cmd.{key.agent_id}.getAgent"
    try:
        message = await client.request(subject, b"{}", timeout=ANSWER_SECONDS_MAX)
        answer = orjson.loads(message.data)
        # An agent that has a key and never registered is not there yet: that is an answer too.
        answered = answer.get("id") == key.agent_id or answer.get("code") == "agent_not_found"
    except (NatsError, OSError, ValueError, AttributeError):
        answered = False
    if not answered:
        return warning(
            f"{url} lets us hear notifications, but commands are not answered there",
            "Does this service take commands over NATS? Over HTTP they work",
        )
    return well(f"{url} lets us in; notifications can be heard and commands are answered")


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


def _no_way_in(url: str, errors: Sequence[str]) -> CheckResult:
    refused = next((one for one in errors if "authorization" in one.lower()), None)
    if refused:
        return failed(
            f"{url} does not let this key in: {refused}",
            "Is it this service's nats-server, configured as `quorate nats-config` prints?",
            UNAUTHORIZED,
        )
    return failed(f"{url} does not answer: {errors[0]}", _LOOK, UNAVAILABLE)


_LOOK_AFTER = "Agents go to the others. Is this one running, and is this its address?"
_LOOK = "Is nats-server running, and is this its address? Agents over HTTP alone don't need it"


async def _close(client: Client) -> None:
    """Also the socket of a refused login, which nats-py forgets."""
    with suppress(NatsError, OSError):
        await client.close()
    stream = getattr(client._transport, "_io_writer", None)  # noqa: SLF001 - has no getter.
    if stream is not None:
        stream.close()
        with suppress(OSError):
            await stream.wait_closed()
