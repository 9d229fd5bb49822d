"""An outreach agent: it writes to every contact on its list, but never while a colleague does.

    export QUORATE_URL=http://127.0.0.1:8420 QUORATE_API_KEY=...
    python examples/outreach_agent.py user@example.com ceo@example.com --for 30

What a colleague holds is left for later: the agent goes on with the next contact, and comes back
when it is told that the contact is free. Set QUORATE_NATS_URL to be told over NATS.
"""

import argparse
import asyncio
from contextlib import suppress

from quorate.client import Agent, LeaseConflict, LeaseLost


async def write_to(agent: Agent, contact: str, seconds: float) -> bool:
    """Whether an e-mail went out. In here, nobody else writes to this contact."""
    try:
        async with agent.lease(contact, intent="outbound_sales", duration_minutes=1) as lease:
            print(f"{agent.name}: writing to {contact}", flush=True)
            await asyncio.sleep(seconds)  # Stands for what takes an agent its time.
            # Time has passed, and this process may have been asleep. So ask right before sending;
            # the lease's fence is shown, and an old one is turned away.
            verdict = await lease.request_send()
            if verdict.authorized:
                print(f"{agent.name}: sent to {contact} (fence {lease.fence})", flush=True)
            return verdict.authorized
    except LeaseConflict as conflict:
        held_by = conflict.holder.agent_name if conflict.holder else "a colleague"
        print(f"{agent.name}: {contact} is held by {held_by}, later then", flush=True)
    except LeaseLost as lost:
        # The block above was cancelled before anybody else could hold the contact.
        print(f"{agent.name}: stopped writing to {contact}: {lost.reason}", flush=True)
    return False


async def work(contacts: list[str], name: str | None, seconds: float) -> None:
    # Registers the agent, and sends heartbeats until the block ends.
    async with Agent.connect(name=name, role="outbound") as agent:
        waiting = [one for one in contacts if not await write_to(agent, one, seconds)]
        if not waiting:
            return
        # Notifications come in order and without gaps, from the moment of connecting on. So one that
        # came while the agent was still writing is not missed.
        async for notification in agent.notifications():
            if notification.name != "lease_available" and not notification.is_gap:
                continue
            free = [
                c
                for c in waiting
                if notification.is_gap or c.lower() == notification.data["contactKey"]
            ]
            for contact in free:
                if await write_to(agent, contact, seconds):
                    waiting.remove(contact)
            if not waiting:
                return


async def main(options: argparse.Namespace) -> None:
    with suppress(TimeoutError):
        async with asyncio.timeout(options.seconds):
            await work(options.contacts, options.name, options.writing)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description="Write to every contact, never beside a colleague."
    )
    parser.add_argument("contacts", nargs="+", metavar="CONTACT", help="an e-mail address")
    parser.add_argument("--name", default="outreach-agent", help="the agent's name (%(default)s)")
    parser.add_argument("--writing", type=float, default=1.0, metavar="SECONDS", help="per e-mail")
    parser.add_argument("--for", dest="seconds", type=float, metavar="SECONDS", help="then stop")
    with suppress(KeyboardInterrupt):
        asyncio.run(main(parser.parse_args()))
