"""Shared thread: several agents contribute to one discussion, and all of them read all of it.

export QUORATE_URL=http://127.0.0.1:8420 QUORATE_API_KEY=...  # A tenant key.
python examples/mail/shared_thread.py "Should we change the price?"
"""

import argparse
import asyncio

from quorate.client import Agent

EXPERTS = {
    "finance": "The margin permits 10 percent.",
    "sales": "Two customers asked for it.",
    "legal": "No contract forbids it.",
}


async def contribute(agent: Agent, opinion: str) -> None:
    """Answer the first message of each discussion, to all who take part."""
    async for message in agent.mail.incoming():
        if message.in_reply_to is None:
            await agent.mail.reply(message, opinion, reply_all=True)


async def main(options: argparse.Namespace) -> None:
    async with (
        asyncio.TaskGroup() as group,
        Agent.connect(name="moderator") as moderator,
        Agent.connect(name="finance") as finance,
        Agent.connect(name="sales") as sales,
        Agent.connect(name="legal") as legal,
    ):
        for agent in (finance, sales, legal):
            group.create_task(contribute(agent, EXPERTS[agent.name]))
        sent = await moderator.mail.send(
            list(EXPERTS), f"[COLLAB] {options.topic}", "Please contribute your expertise."
        )
        missing = set(EXPERTS)
        async with asyncio.timeout(60):
            async for message in moderator.mail.incoming(thread_id=sent.thread_id):
                missing.discard(message.from_address.partition("@")[0])
                if not missing:
                    break
        thread = await legal.mail.thread(sent.thread_id)
        print(f"{thread.subject}: {len(thread.participant_addresses)} participants")
        for one in sorted(thread.messages, key=lambda each: each.from_address):
            print(f"{one.from_address}: {one.body_text}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Discuss a topic in one thread.")
    parser.add_argument("topic", nargs="?", default="Should we change the price?")
    asyncio.run(main(parser.parse_args()))
