"""Outreach agent: write to every contact on a list, and never while another agent does.

    export QUORATE_URL=http://127.0.0.1:8420 QUORATE_API_KEY=...
    python examples/outreach_agent.py user@example.com ceo@example.com --for 30

If another agent holds a contact, this agent continues with the next one. It retries when the
lease_available notification arrives. Set QUORATE_NATS_URL to receive notifications over NATS.
"""

import argparse
import asyncio
from contextlib import suppress

from quorate.client import Agent, Gap, LeaseAvailable, LeaseConflictError, LeaseLostError


async def write_to(agent: Agent, contact: str, seconds: float) -> bool:
    """Write to a contact while holding its lease; return whether the e-mail was sent."""
    try:
        async with agent.lease(contact, intent="outbound_sales", duration_minutes=1) as lease:
            print(f"{agent.name}: writing to {contact}", flush=True)
            await asyncio.sleep(seconds)  # Represents the work of the agent.
            # This process may have been suspended, so ask the send gate immediately before sending.
            # The request shows the fencing token of the lease; the gate blocks a stale one.
            verdict = await lease.request_send()
            if verdict.authorized:
                print(f"{agent.name}: sent to {contact} (fence {lease.fence})", flush=True)
            return verdict.authorized
    except LeaseConflictError as conflict:
        held_by = conflict.holder.agent_name if conflict.holder else "another agent"
        print(f"{agent.name}: {contact} is held by {held_by}, retrying later", flush=True)
    except LeaseLostError as lost:
        # The SDK cancelled the block above before another agent could hold the contact.
        print(f"{agent.name}: stopped writing to {contact}: {lost.reason}", flush=True)
    return False


async def work(contacts: list[str], name: str | None, seconds: float) -> None:
    # Registers the agent, and sends heartbeats until the block ends.
    async with Agent.connect(name=name, role="outbound") as agent:
        waiting = [one for one in contacts if not await write_to(agent, one, seconds)]
        if not waiting:
            return
        # Notifications are ordered and complete from the moment of the connection on, so those that
        # arrived while the agent was writing are included.
        async for notification in agent.notifications():
            match notification.data:
                case LeaseAvailable(contact_key=key):
                    free = [contact for contact in waiting if contact.lower() == key]
                case Gap():  # Notifications are missing: any contact may be available.
                    free = list(waiting)
                case _:
                    continue
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
        description="Write to every contact, never together with another agent."
    )
    parser.add_argument("contacts", nargs="+", metavar="CONTACT", help="an e-mail address")
    parser.add_argument("--name", default="outreach-agent", help="the agent's name (%(default)s)")
    parser.add_argument(
        "--writing",
        type=float,
        default=1.0,
        metavar="SECONDS",
        help="duration of writing an e-mail",
    )
    parser.add_argument(
        "--for", dest="seconds", type=float, metavar="SECONDS", help="stop after this time"
    )
    with suppress(KeyboardInterrupt):
        asyncio.run(main(parser.parse_args()))
