"""Hub and spoke: one agent gives tasks to specialists at once, and combines their results.

    export QUORATE_URL=http://127.0.0.1:8420 QUORATE_API_KEY=...  # A tenant key.
    python examples/mail/hub_and_spoke.py "electric cars"

Each task is a message TASK:{id}, each result a message RESULT:{id}. No agent polls.
"""

import argparse
import asyncio
import json

from quorate.client import Agent

SPECIALISTS = {
    "searcher": "Search the web for {topic}",
    "analyst": "Analyze existing data on {topic}",
    "librarian": "Find authoritative sources for {topic}",
}


async def work(agent: Agent) -> None:
    """Answer every task; the iteration ends when the agent disconnects."""
    async for task in agent.mail.incoming(kind="TASK"):
        description = json.loads(task.body_text or "{}")["description"]
        result = {"task_id": task.task_id, "result": f"{description}: done"}
        await agent.mail.reply(task, json.dumps(result), kind="RESULT")


async def main(options: argparse.Namespace) -> None:
    async with (
        asyncio.TaskGroup() as group,
        Agent.connect(name="orchestrator") as orchestrator,
        Agent.connect(name="searcher") as searcher,
        Agent.connect(name="analyst") as analyst,
        Agent.connect(name="librarian") as librarian,
    ):
        for agent in (searcher, analyst, librarian):
            group.create_task(work(agent))
        requests = [
            (name, {"name": name.title(), "description": text.format(topic=options.topic)})
            for name, text in SPECIALISTS.items()
        ]
        # If a specialist answers ERROR:, the others get CANCEL: and TaskFailedError is raised.
        results = await orchestrator.mail.gather(requests, timeout_seconds=60)
        for result in results:
            print(f"{result.from_address}: {json.loads(result.body_text or '{}')['result']}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Give tasks to specialists at once.")
    parser.add_argument("topic", nargs="?", default="electric cars", help="%(default)s")
    asyncio.run(main(parser.parse_args()))
