"""Retention agent: reach every contact, and wait for contacts that other agents hold.

    export QUORATE_URL=http://127.0.0.1:8420 QUORATE_API_KEY=...
    python examples/retention_agent.py user@example.com ceo@example.com --for 30

The same as the outreach agent in blocking Python, without asyncio.
"""

import argparse
import time
from contextlib import suppress

from quorate.client import LeaseConflictError, LeaseLostError
from quorate.client.blocking import Agent


def call(agent: Agent, contact: str, seconds: float, wait_seconds: float) -> None:
    try:
        # Waits for the lease_available notification, without polling.
        with agent.lease(
            contact, intent="retention", duration_minutes=1, wait_seconds=wait_seconds
        ) as lease:
            print(f"{agent.name}: calling {contact}", flush=True)
            time.sleep(seconds)  # Represents the work of the agent.
            # The SDK cannot cancel a blocking program when the lease is lost, so ask the send gate
            # before acting. This also detects that the process was suspended.
            verdict = lease.request_send()
            if verdict.authorized:
                print(f"{agent.name}: reached {contact} (fence {lease.fence})", flush=True)
    except LeaseConflictError as conflict:
        held_by = conflict.holder.agent_name if conflict.holder else "another agent"
        print(f"{agent.name}: {contact} is still held by {held_by}, giving up", flush=True)
    except LeaseLostError as lost:
        print(f"{agent.name}: lost {contact}: {lost.reason}", flush=True)


def main(options: argparse.Namespace) -> None:
    # Registers the agent, and sends heartbeats in the background until the block ends.
    with Agent.connect(name=options.name, role="retention") as agent:
        ends_at = time.monotonic() + options.seconds
        for contact in options.contacts:
            left = ends_at - time.monotonic() - options.calling
            if left <= 0:
                break
            call(agent, contact, options.calling, wait_seconds=left)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description="Reach every contact, and wait for contacts that other agents hold."
    )
    parser.add_argument("contacts", nargs="+", metavar="CONTACT", help="an e-mail address")
    parser.add_argument("--name", default="retention-agent", help="the agent's name (%(default)s)")
    parser.add_argument(
        "--calling", type=float, default=1.0, metavar="SECONDS", help="duration of a call"
    )
    parser.add_argument(
        "--for",
        dest="seconds",
        type=float,
        default=3_600.0,
        metavar="SECONDS",
        help="stop after this time",
    )
    with suppress(KeyboardInterrupt):
        main(parser.parse_args())
