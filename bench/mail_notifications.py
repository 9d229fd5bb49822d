"""Latency of mail: from the request to the notification at the recipient, on an idle service."""

import asyncio
import statistics
import time
from pathlib import Path

import httpx2
from nats.aio.client import Client
from nats.aio.msg import Msg

from quorate.bench.clients import KeyHolder, client, key_holders
from quorate.bench.over_nats import connect
from quorate.bench.processes import quorate
from quorate.bench.report import Row
from quorate.bus.subjects import to_agent

MESSAGES = 500
BODY = "x" * 1_024
NOTIFICATION_SECONDS_MAX = 5.0


async def mail_notification(folder: Path, _seconds: float) -> list[Row]:
    async with quorate(folder) as service:
        sender, recipient = await key_holders(service, 2)
        bus = await connect(service.nats_url, recipient)
        try:
            async with client(service, sender.key) as http:
                delays = await _send_one_by_one(http, bus, recipient)
        finally:
            await bus.close()
    delays.sort()
    note = f"{MESSAGES} messages of {len(BODY)} bytes one by one; from the request to the receipt"
    median, p99 = statistics.median(delays), delays[int(len(delays) * 0.99)]
    return [
        Row(name="mail to notification, p50", unit="ms", value=median, note=note),
        Row(name="mail to notification, p99", unit="ms", value=p99, note="aim: at most 10 ms"),
    ]


async def _send_one_by_one(
    http: httpx2.AsyncClient, bus: Client, recipient: KeyHolder
) -> list[float]:
    received: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue()

    async def on_message(message: Msg) -> None:
        received.put_nowait((time.perf_counter(), message.data))

    principal = recipient.principal
    await bus.subscribe(
        to_agent(principal.tenant, recipient.agent_id, "message_received"), cb=on_message
    )
    await bus.flush()
    account = await http.get("/email/account")
    domain = account.raise_for_status().json()["email_address"].rpartition("@")[2]
    message = {
        "to": [f"{principal.agent_name}@{domain}"],
        "subject": "TASK:7: find leads",
        "body_text": BODY,
    }
    delays = []
    for _ in range(MESSAGES):
        sent_at = time.perf_counter()
        (await http.post("/email/send", json=message)).raise_for_status()
        at, data = await asyncio.wait_for(received.get(), NOTIFICATION_SECONDS_MAX)
        assert BODY.encode() in data
        delays.append(1_000 * (at - sent_at))
    return delays
