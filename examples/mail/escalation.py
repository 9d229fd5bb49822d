"""Escalation: a level that cannot resolve an error hands it to the next; the last is a person.

    export QUORATE_URL=http://127.0.0.1:8420 QUORATE_API_KEY=...  # A tenant key.
    python examples/mail/escalation.py --severity 3 --person oncall@example.com

A message to a person passes the send gate. It is held until the operator configures a mail relay,
and blocked while another agent holds a lease on the person.
"""

import argparse
import asyncio
import json

from quorate.client import Agent, MailMessage, SentInfo

LEVELS = ("supervisor", "lead")


async def escalate(
    agent: Agent, to: str, level: int, error: str, replied: MailMessage | None = None
) -> SentInfo:
    return await agent.mail.send(
        to,
        f"[ESCALATION L{level}] {json.loads(error)['type']}",
        error,
        in_reply_to=replied,
        importance="urgent",
    )


async def resolve(agent: Agent, person: str, outcome: asyncio.Future[str]) -> None:
    """Resolve the errors that this level can resolve, and escalate the others."""
    async for message in agent.mail.incoming(kind="ESCALATION"):
        level, error = message.level or 0, message.body_text or "{}"
        if json.loads(error)["severity"] <= level:
            outcome.set_result(f"{agent.name} resolved it at level {level}")
            continue
        print(f"{agent.name} escalates to level {level + 1}", flush=True)
        if level < len(LEVELS):
            await escalate(agent, LEVELS[level], level + 1, error, message)
            continue
        sent = await escalate(agent, person, level + 1, error)
        (recipient,) = sent.recipients
        outcome.set_result(f"mail to {person} is {recipient.status}: {recipient.reason}")


async def main(options: argparse.Namespace) -> None:
    outcome: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    async with (
        asyncio.TaskGroup() as group,
        Agent.connect(name="worker") as worker,
        Agent.connect(name="supervisor") as supervisor,
        Agent.connect(name="lead") as lead,
    ):
        for agent in (supervisor, lead):
            group.create_task(resolve(agent, options.person, outcome))
        error = {"type": "PaymentFailed", "severity": options.severity}
        await escalate(worker, LEVELS[0], 1, json.dumps(error))
        async with asyncio.timeout(60):
            print(await outcome)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Escalate an error until a level resolves it.")
    parser.add_argument("--severity", type=int, default=3, help="from 1 (%(default)s)")
    parser.add_argument("--person", default="oncall@example.com", help="%(default)s")
    asyncio.run(main(parser.parse_args()))
