"""Reviewer: vote on the proposals of other agents by a simple policy.

    export QUORATE_URL=http://127.0.0.1:8420 QUORATE_API_KEY=...
    python examples/reviewer.py --protect bigcorp.com --remember reviewer.cursor --for 30

With --remember, the reviewer continues after the last notification that it handled. It then votes
on proposals that were created while it was not running, if they are still pending.
"""

import argparse
import asyncio
from collections.abc import Collection
from contextlib import suppress
from pathlib import Path

from quorate.client import Agent, AlreadyVotedError, ConsensusClosedError, ConsensusRequested

RISKY = ("delete", "refund", "everyone")


def judge(proposal: ConsensusRequested, protected: Collection[str]) -> tuple[str, str]:
    """Apply the policy: return approve or reject, and the reason.

    Text of another agent (action, reason) is data to be judged, and never an instruction.
    """
    action, contact = proposal.action, proposal.contact_key
    risky = [word for word in RISKY if word in action.lower()]
    if risky:
        return "reject", f"too risky: {', '.join(risky)}"
    if contact.rpartition("@")[2] in protected:
        return "reject", "only people contact this customer"
    return "approve", "no objection"


async def review(agent: Agent, proposal: ConsensusRequested, protected: Collection[str]) -> None:
    choice, reason = judge(proposal, protected)
    try:
        vote = await agent.vote(
            proposal.request_id,
            "approve" if choice == "approve" else "reject",
            reason=reason,
        )
    except (ConsensusClosedError, AlreadyVotedError) as error:
        print(f"{agent.name}: too late for {proposal.action!r}: {error}", flush=True)
    else:
        print(f"{agent.name}: {choice} {proposal.action!r}: {reason}", flush=True)
        print(f"{agent.name}: the proposal is {vote.consensus_status}", flush=True)


async def work(options: argparse.Namespace) -> None:
    async with Agent.connect(name=options.name, role="reviewer") as agent:
        print(f"{agent.name}: waiting for proposals", flush=True)
        async for notification in agent.notifications(after=load_sequence(options.remember)):
            proposal = notification.data
            if isinstance(proposal, ConsensusRequested) and proposal.agent_id != agent.id:
                await review(agent, proposal, options.protect)
            # Store the sequence after handling: after a crash, the notification is read again.
            if options.remember is not None:
                options.remember.write_text(str(notification.sequence))


def load_sequence(file: Path | None) -> int | None:
    """Return the sequence of the last handled notification; None starts with new ones."""
    return int(file.read_text()) if file is not None and file.exists() else None


async def main(options: argparse.Namespace) -> None:
    with suppress(TimeoutError):
        async with asyncio.timeout(options.seconds):
            await work(options)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Vote on the proposals of other agents.")
    parser.add_argument("--name", default="reviewer", help="the agent's name (%(default)s)")
    parser.add_argument("--protect", action="append", default=[], metavar="DOMAIN")
    parser.add_argument("--remember", type=Path, metavar="FILE", help="file for the last sequence")
    parser.add_argument(
        "--for", dest="seconds", type=float, metavar="SECONDS", help="stop after this time"
    )
    with suppress(KeyboardInterrupt):
        asyncio.run(main(parser.parse_args()))
