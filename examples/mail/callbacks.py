"""Callbacks: a task names the address and the subject of its result, so it may take long.

    export QUORATE_URL=http://127.0.0.1:8420 QUORATE_API_KEY=...  # A tenant key.
    python examples/mail/callbacks.py --working 0.5

The requester does not wait: any agent that the callback names receives the result, also one that
connects later. It then starts after the last message that it processed.
"""

import argparse
import asyncio
import json

from quorate.client import Agent


async def work(agent: Agent, seconds: float) -> None:
    async for message in agent.mail.incoming():
        task = json.loads(message.body_text or "{}")
        await asyncio.sleep(seconds)  # Represents the work of the agent.
        await agent.mail.send(
            task["callback"],
            task["callback_subject"],
            f"{task['task']}: 3 competitors, 2 trends",
            # A worker that repeats a task after a crash sends its result once.
            idempotency_key=f"result-of-{message.message_id}",
        )


async def main(options: argparse.Namespace) -> None:
    # The reporter keeps its registration when it leaves, so it gets mail meanwhile.
    async with Agent.connect(name="reporter", stay=True) as reporter:
        callback, last = await reporter.mail.address(), reporter.cursor
    async with asyncio.TaskGroup() as group, Agent.connect(name="worker") as worker:
        group.create_task(work(worker, options.working))
        async with Agent.connect(name="requester") as requester:
            task = {
                "task": "Market analysis",
                "callback": callback,
                "callback_subject": "RESULT:market — analysis complete",
            }
            await requester.mail.send("worker", "Long task: market analysis", json.dumps(task))
        print("requester: disconnected")
        async with Agent.connect(name="reporter") as reporter, asyncio.timeout(60):
            result = await anext(reporter.mail.incoming(since=last))
            print(f"reporter: {result.body_text} (from {result.from_address})")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Get the result of a long task by a callback.")
    parser.add_argument("--working", type=float, default=0.2, metavar="SECONDS")
    asyncio.run(main(parser.parse_args()))
