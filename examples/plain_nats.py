"""One agent with nothing but nats-py. All that it knows is in the service's AsyncAPI document.

    pip install nats-py
    python plain_nats.py user@example.com 10

It registers, leases a contact, holds it for some seconds and says what it hears meanwhile. Where
another agent holds the contact, it says who, and ends with code 3.
"""

import asyncio
import json
import os
import sys
from typing import Any
from uuid import uuid4

import nats
from nats.aio.msg import Msg

TENANT = os.environ["QUORATE_TENANT"]
AGENT_ID = os.environ["QUORATE_AGENT_ID"]
ANSWER_SECONDS_MAX = 5


class Refused(Exception):
    """The service answered with a problem; decide by its ``code``."""

    def __init__(self, problem: dict[str, Any]) -> None:
        super().__init__(problem["detail"])
        self.problem = problem


async def main(contact: str, seconds: float) -> int:
    client = await nats.connect(
        os.environ["QUORATE_NATS_URL"],
        token=os.environ["QUORATE_API_KEY"],
        inbox_prefix=f"_INBOX_{TENANT}_{AGENT_ID}",  # Answers come here and nowhere else.
        allow_reconnect=False,  # So that a wrong key is an error at once.
    )

    async def ask(operation: str, **fields: object) -> dict[str, Any]:
        command = {**fields, "idempotencyKey": str(uuid4())}
        subject = f"quorate.{TENANT}.cmd.{AGENT_ID}.{operation}"
        reply = await client.request(
            subject, json.dumps(command).encode(), timeout=ANSWER_SECONDS_MAX
        )
        answer: dict[str, Any] = json.loads(reply.data)
        if reply.headers and "Nats-Service-Error-Code" in reply.headers:
            raise Refused(answer)
        return answer

    async def hear(message: Msg) -> None:
        notification = json.loads(message.data)
        say(notification["type"].removeprefix("quorate."), **notification["data"])

    await client.subscribe(f"quorate.{TENANT}.agent.{AGENT_ID}.>", cb=hear)
    try:
        agent = await ask("register")
        say("registered", agentName=agent["agentName"], activeUntil=agent["activeUntil"])
        lease = await ask("acquireLease", contactEmail=contact, intent="an example")
        say("holding", contactEmail=lease["contactEmail"], fence=lease["fence"])
        await asyncio.sleep(seconds)
        await ask("releaseLease", leaseId=lease["id"])
        say("released", contactEmail=lease["contactEmail"])
    except Refused as refused:
        say("refused", **refused.problem)
        return 3 if refused.problem["code"] == "lease_conflict" else 1
    finally:
        await client.drain()
    return 0


def say(what: str, **facts: object) -> None:
    print(json.dumps({"what": what, **facts}), flush=True)


if __name__ == "__main__":
    sys.exit(asyncio.run(main(sys.argv[1], float(sys.argv[2]))))
