"""FastStream agent: handle notifications in an application that uses FastStream.

    pip install "quorate[faststream]"
    export QUORATE_URL=http://127.0.0.1:8420 QUORATE_API_KEY=...
    export QUORATE_NATS_URL=nats://127.0.0.1:4222
    python examples/faststream_agent.py --cursor agent.cursor --for 30

The agent approves the proposals of other agents, and prints who requested its contacts. With
--cursor, it continues after the last notification that it handled, also after a crash.
"""

import argparse
import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from faststream import FastStream

from quorate.client import (
    Agent,
    AlreadyVotedError,
    ConsensusClosedError,
    ConsensusRequested,
    Gap,
    LeaseConflict,
    Notification,
)
from quorate.client.faststream import FileCursor, MemoryCursor, NotificationRouter


def make_app(notifications: NotificationRouter) -> FastStream:
    broker = notifications.make_broker(os.environ["QUORATE_NATS_URL"])
    agents: list[Agent] = []

    @notifications.on(ConsensusRequested)
    async def vote(proposal: ConsensusRequested, notification: Notification) -> None:
        (agent,) = agents
        if proposal.agent_id == agent.id:
            return
        try:
            await agent.vote(proposal.request_id, "approve", reason="No objection")
        except (ConsensusClosedError, AlreadyVotedError) as error:
            print(f"too late for {proposal.action!r}: {error}", flush=True)
        else:
            print(f"#{notification.sequence}: approved {proposal.action!r}", flush=True)

    @notifications.on(LeaseConflict)
    async def report_conflict(conflict: LeaseConflict) -> None:
        print(f"{conflict.agent_name} requested {conflict.contact_email}", flush=True)

    @notifications.on(Gap)
    async def read_state(gap: Gap) -> None:
        print(f"notifications up to {gap.until} are missing: read the state", flush=True)

    @asynccontextmanager
    async def lifespan() -> AsyncIterator[None]:
        # The agent sends heartbeats, so that it may vote. The router delivers the notifications.
        async with Agent.connect(role="reviewer", nats_url="") as agent, notifications.lifespan():
            agents.append(agent)
            print(f"{agent.name}: waiting for notifications", flush=True)
            yield

    return FastStream(broker, lifespan=lifespan)


async def run(app: FastStream, seconds: float | None) -> None:
    if seconds is not None:
        asyncio.get_running_loop().call_later(seconds, app.exit)
    await app.run()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Handle notifications with FastStream.")
    parser.add_argument("--cursor", type=Path, metavar="FILE", help="file for the last sequence")
    parser.add_argument(
        "--for", dest="seconds", type=float, metavar="SECONDS", help="stop after this time"
    )
    options = parser.parse_args()
    cursor = MemoryCursor() if options.cursor is None else FileCursor(options.cursor)
    asyncio.run(run(make_app(NotificationRouter.for_key(cursor=cursor)), options.seconds))
