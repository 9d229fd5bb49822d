"""A retention agent: it must reach every one of its contacts, and waits for those who are taken.

    export QUORATE_URL=http://127.0.0.1:8420 QUORATE_API_KEY=...
    python examples/retention_agent.py user@example.com ceo@example.com --for 30

The same as the outreach agent in plain, blocking Python: no asyncio, one thing after the other.
"""

import argparse
import time
from contextlib import suppress

from quorate.client import LeaseConflict, LeaseLost
from quorate.client.blocking import Agent


def call(agent: Agent, contact: str, seconds: float, patience: float) -> None:
    try:
        # Waits until the contact is free. Nothing is polled: the holder's release is a notification.
        with agent.lease(
            contact, intent="retention", duration_minutes=1, wait_seconds=patience
        ) as lease:
            print(f"{agent.name}: calling {contact}", flush=True)
            time.sleep(seconds)  # Stands for what takes an agent its time.
            # A blocking program cannot be interrupted when the lease is lost. So it looks before
            # it acts: the send gate knows, also when this process was asleep.
            verdict = lease.request_send()
            if verdict.authorized:
                print(f"{agent.name}: reached {contact} (fence {lease.fence})", flush=True)
    except LeaseConflict as conflict:
        held_by = conflict.holder.agent_name if conflict.holder else "a colleague"
        print(f"{agent.name}: {contact} is still held by {held_by}, giving up", flush=True)
    except LeaseLost as lost:
        print(f"{agent.name}: lost {contact}: {lost.reason}", flush=True)


def main(options: argparse.Namespace) -> None:
    # Registers the agent, and sends heartbeats in the background until the block ends.
    with Agent.connect(name=options.name, role="retention") as agent:
        ends_at = time.monotonic() + options.seconds
        for contact in options.contacts:
            left = ends_at - time.monotonic() - options.calling
            if left <= 0:
                break
            call(agent, contact, options.calling, patience=left)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Reach every contact, waiting for those taken.")
    parser.add_argument("contacts", nargs="+", metavar="CONTACT", help="an e-mail address")
    parser.add_argument("--name", default="retention-agent", help="the agent's name (%(default)s)")
    parser.add_argument("--calling", type=float, default=1.0, metavar="SECONDS", help="per contact")
    parser.add_argument(
        "--for", dest="seconds", type=float, default=3_600.0, metavar="SECONDS", help="then stop"
    )
    with suppress(KeyboardInterrupt):
        main(parser.parse_args())
