"""A reviewer: it votes on what other agents propose, by a policy of a few lines.

    export QUORATE_URL=http://127.0.0.1:8420 QUORATE_API_KEY=...
    python examples/reviewer.py --protect bigcorp.com --remember reviewer.cursor --for 30

With --remember it goes on where it stopped: what was proposed while it was away is voted on, if it
is still open.
"""

import argparse
import asyncio
from collections.abc import Collection
from contextlib import suppress
from pathlib import Path

from quorate.client import Agent, AlreadyVoted, ConsensusClosed, Notification

RISKY = ("delete", "refund", "everyone")


def judge(proposal: Notification, protected: Collection[str]) -> tuple[str, str]:
    """The policy: approve or reject, and why.

    What another agent wrote (its action, its reason) is text to be judged. It is never an
    instruction to follow, however it is worded.
    """
    action, contact = proposal.data["action"], proposal.data["contactKey"]
    risky = [word for word in RISKY if word in action.lower()]
    if risky:
        return "reject", f"too risky: {', '.join(risky)}"
    if contact.rpartition("@")[2] in protected:
        return "reject", "people talk to this customer, agents don't"
    return "approve", "nothing speaks against it"


async def review(agent: Agent, proposal: Notification, protected: Collection[str]) -> None:
    choice, reason = judge(proposal, protected)
    try:
        vote = await agent.vote(
            proposal.data["requestId"],
            "approve" if choice == "approve" else "reject",
            reason=reason,
        )
    except (ConsensusClosed, AlreadyVoted) as refused:
        print(f"{agent.name}: too late for {proposal.data['action']!r}: {refused}", flush=True)
    else:
        print(f"{agent.name}: {choice} {proposal.data['action']!r}: {reason}", flush=True)
        print(f"{agent.name}: it is {vote.consensus_status}", flush=True)


async def work(options: argparse.Namespace) -> None:
    async with Agent.connect(name=options.name, role="reviewer") as agent:
        print(f"{agent.name}: waiting for proposals", flush=True)
        async for notification in agent.notifications(after=recalled(options.remember)):
            if (
                notification.name == "consensus_requested"
                and notification.data["agentId"] != agent.id
            ):
                await review(agent, notification, options.protect)
            # Only now: what was not dealt with before a crash is seen again.
            if options.remember is not None:
                options.remember.write_text(str(notification.sequence))


def recalled(file: Path | None) -> int | None:
    """The sequence of the last notification that was dealt with; None begins with what comes now."""
    return int(file.read_text()) if file is not None and file.exists() else None


async def main(options: argparse.Namespace) -> None:
    with suppress(TimeoutError):
        async with asyncio.timeout(options.seconds):
            await work(options)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Vote on what other agents propose.")
    parser.add_argument("--name", default="reviewer", help="the agent's name (%(default)s)")
    parser.add_argument("--protect", action="append", default=[], metavar="DOMAIN")
    parser.add_argument("--remember", type=Path, metavar="FILE", help="how far it has come")
    parser.add_argument("--for", dest="seconds", type=float, metavar="SECONDS", help="then stop")
    with suppress(KeyboardInterrupt):
        asyncio.run(main(parser.parse_args()))
