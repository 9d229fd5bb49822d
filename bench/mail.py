"""Mail between agents: messages per second, latency of notifications, and the cost for others."""

import asyncio
import statistics
from collections.abc import Sequence
from pathlib import Path

from quorate.bench import wrk
from quorate.bench.clients import KeyHolder, client, key_holders
from quorate.bench.processes import BenchService, quorate
from quorate.bench.report import SENDS, Row
from quorate.bench.scenarios import (
    AGENTS,
    LEASE,
    as_row,
    load,
    register,
)
from quorate.runtime.service_defaults import MAIL_DOMAIN_DEFAULT

SEND = "/email/send"
BODY_BYTES = 1_024
LARGE_BODY_BYTES = 200 * 1_024
LARGE_SENDERS = 10
TIER = "trusted"  # The default tier ends after 1,000 messages of an agent in an hour.
ROUNDS = 3
LARGE_HEAD_START_SECONDS = 1.0


async def send(folder: Path, seconds: float) -> list[Row]:
    """Send messages with 1 KiB; each of 64 agents sends to the next one."""
    if (reason := wrk.available()) is not None:
        return [Row(name=SENDS, unit="commands/s", value=None, note=reason)]
    async with quorate(folder) as service:
        agents = await register(service, AGENTS)
        await _raise_limits(service, [one["id"] for one in agents])
        environment = _senders("agent", AGENTS, BODY_BYTES, [service.key])
        result = await load(service, "send.lua", SEND, seconds, AGENTS, environment)
    return [as_row(SENDS, result)]


async def acquisitions_beside_large(folder: Path, seconds: float) -> list[Row]:
    """Measure acquisitions beside ten agents that send 200 KiB without pause, and without them.

    Both are measured several times in turn, so that a change of the machine's speed affects both.
    """
    name = "acquisitions, p99"
    if (reason := wrk.available()) is not None:
        return [Row(name=name, unit="ms", value=None, note=reason)]
    async with quorate(folder) as service:
        await register(service, AGENTS)
        senders = await key_holders(service, LARGE_SENDERS, "sender")
        await _raise_limits(service, [one.agent_id for one in senders])
        alone, beside, sent = [], [], []
        for _ in range(ROUNDS):
            alone.append(await load(service, "acquire.lua", LEASE, seconds, AGENTS))
            large = asyncio.create_task(_send_large(service, senders, seconds))
            await asyncio.sleep(LARGE_HEAD_START_SECONDS)
            beside.append(await load(service, "acquire.lua", LEASE, seconds, AGENTS))
            sent.append(await large)
    assert not any(one.failed for one in sent), "The service rejected messages"
    without = statistics.median(one.p99_milliseconds for one in alone)
    during = statistics.median(one.p99_milliseconds for one in beside)
    rate = statistics.median(one.rate for one in sent)
    note = f"median of {ROUNDS} runs; {statistics.median(one.rate for one in alone):,.0f}/s"
    during_note = (
        f"{statistics.median(one.rate for one in beside):,.0f}/s beside {rate:,.0f} messages/s"
    )
    return [
        Row(name=name, unit="ms", value=without, note=note),
        Row(name=f"{name}, beside 200 KiB messages", unit="ms", value=during, note=during_note),
        Row(
            name="p99 beside large messages / alone (aim below 2)",
            unit="ratio",
            value=during / without,
        ),
    ]


async def _send_large(
    service: BenchService, senders: Sequence[KeyHolder], seconds: float
) -> wrk.Load:
    environment = _senders("sender", len(senders), LARGE_BODY_BYTES, [one.key for one in senders])
    # The warm-up of the acquisitions takes a second as well.
    duration = seconds + 2 * LARGE_HEAD_START_SECONDS
    return await wrk.run("send.lua", service.url + SEND, duration, environment, len(senders))


def _senders(prefix: str, agents: int, size: int, keys: Sequence[str]) -> dict[str, str]:
    return {
        "PREFIX": prefix,
        "AGENTS": str(agents),
        "DOMAIN": MAIL_DOMAIN_DEFAULT,
        "SIZE": str(size),
        "KEYS": " ".join(keys),
    }


async def _raise_limits(service: BenchService, agent_ids: Sequence[str]) -> None:
    async with client(service, service.admin_key) as http:
        for agent_id in agent_ids:
            path = f"/email/accounts/{agent_id}/tier"
            (await http.post(path, json={"tenant_id": "default", "tier": TIER})).raise_for_status()
