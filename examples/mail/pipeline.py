"""Pipeline: each agent works on what it receives, and hands it to the next one in the same thread.

    export QUORATE_URL=http://127.0.0.1:8420 QUORATE_API_KEY=...  # A tenant key.
    python examples/mail/pipeline.py "  Is   this a question? "

The last stage answers the source. Every agent of the thread can read the complete thread.
"""

import argparse
import asyncio
import json
from collections.abc import Callable

from quorate.client import Agent

SOURCE = "source"


def trim(text: str) -> dict[str, object]:
    return {"text": " ".join(text.split())}


def count(text: str) -> dict[str, object]:
    return {"words": len(text.split())}


def classify(text: str) -> dict[str, object]:
    return {"is_question": text.endswith("?")}


async def run_stage(
    agent: Agent, following: str, process: Callable[[str], dict[str, object]]
) -> None:
    async for message in agent.mail.incoming():
        data = json.loads(message.body_text or "{}")
        output = json.dumps({**data, **process(data["text"])})
        # in_reply_to keeps the pipeline in one thread.
        await agent.mail.send(following, message.subject, output, in_reply_to=message)


async def main(options: argparse.Namespace) -> None:
    async with (
        asyncio.TaskGroup() as group,
        Agent.connect(name=SOURCE) as source,
        Agent.connect(name="trimmer") as trimmer,
        Agent.connect(name="counter") as counter,
        Agent.connect(name="classifier") as classifier,
    ):
        group.create_task(run_stage(trimmer, "counter", trim))
        group.create_task(run_stage(counter, "classifier", count))
        group.create_task(run_stage(classifier, SOURCE, classify))
        body = json.dumps({"text": options.text})
        sent = await source.mail.send("trimmer", "Process a text", body)
        async with asyncio.timeout(60):
            result = await anext(source.mail.incoming(thread_id=sent.thread_id))
        print(f"result: {result.body_text}")
        async for message in source.mail.iterate_thread(sent.thread_id):
            print(f"{message.from_address} -> {message.to_addresses[0]}: {message.body_text}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Process a text in three stages.")
    parser.add_argument("text", nargs="?", default="  Is   this a question? ")
    asyncio.run(main(parser.parse_args()))
