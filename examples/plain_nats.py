"""Agent with a plain NATS client (nats-py), written from the AsyncAPI document of the service.

    pip install nats-py
    python plain_nats.py user@example.com 10

The agent registers, acquires a lease, holds it for the given seconds, and prints notifications. If
another agent holds the contact, it prints the holder and exits with code 3.
"""

import asyncio
import json
import os
import sys
from contextlib import suppress
from typing import Any
from uuid import uuid4

import nats
from nats.aio.msg import Msg

TENANT = os.environ["QUORATE_TENANT"]
AGENT_ID = os.environ["QUORATE_AGENT_ID"]
RESPONSE_SECONDS_MAX = 5


class RequestRejected(Exception):
    """The response is a problem document; its ``code`` identifies the problem."""

    def __init__(self, problem: dict[str, Any]) -> None:
        super().__init__(problem["detail"])
        self.problem = problem


async def main(contact: str, seconds: float) -> int:
    client = await nats.connect(
        os.environ["QUORATE_NATS_URL"],
        token=os.environ["QUORATE_API_KEY"],
        inbox_prefix=f"_INBOX_{TENANT}_{AGENT_ID}",  # The service responds to this inbox only.
        allow_reconnect=False,  # A wrong key is an error immediately.
    )

    async def request(operation: str, **fields: object) -> dict[str, Any]:
        command = {**fields, "idempotencyKey": str(uuid4())}
        subject = f"quorate.{TENANT}.cmd.{AGENT_ID}.{operation}"
        reply = await client.request(
            subject, json.dumps(command).encode(), timeout=RESPONSE_SECONDS_MAX
        )
        response: dict[str, Any] = json.loads(reply.data)
        if reply.headers and "Nats-Service-Error-Code" in reply.headers:
            raise RequestRejected(response)
        return response

    async def print_notification(message: Msg) -> None:
        notification = json.loads(message.data)
        print_line(notification["type"].removeprefix("quorate."), **notification["data"])

    await client.subscribe(f"quorate.{TENANT}.agent.{AGENT_ID}.>", cb=print_notification)
    try:
        agent = await request("register")
        print_line("registered", agentName=agent["agentName"], activeUntil=agent["activeUntil"])
        lease = await request("acquireLease", contactEmail=contact, intent="an example")
        print_line("holding", contactEmail=lease["contactEmail"], fence=lease["fence"])
        await asyncio.sleep(seconds)
        await request("releaseLease", leaseId=lease["id"])
        print_line("released", contactEmail=lease["contactEmail"])
    except RequestRejected as error:
        print_line("rejected", **error.problem)
        return 3 if error.problem["code"] == "lease_conflict" else 1
    finally:
        with suppress(RequestRejected):  # It never registered.
            await request("deregister", onlyIfIdle=True)
        await client.drain()
    return 0


def print_line(event: str, **details: object) -> None:
    print(json.dumps({"event": event, **details}), flush=True)


if __name__ == "__main__":
    sys.exit(asyncio.run(main(sys.argv[1], float(sys.argv[2]))))
