"""Run in a copy of the repository that offers the command of CONTRIBUTING.md to callers."""

import asyncio
import sys

from tests.architecture.trials.interfaces import (
    INTERFACES,
    Arguments,
    call_everywhere,
    find_in_documents,
    open_scene,
)

NAME = "changeIntent"


async def main() -> None:
    documented = find_in_documents(NAME)
    assert documented["summary"] == "Change the intent of a lease"
    assert {"404", "409"} <= documented["responses"].keys()
    async with open_scene() as scene:
        intents = {interface: f"by {interface}" for interface in INTERFACES}
        arguments = [
            Arguments(ids={"lease_id": scene.lease_id}, body={"intent": intent})
            for intent in intents.values()
        ]
        found = await call_everywhere(scene, NAME, arguments)
        assert {interface: one["intent"] for interface, one in found.items()} == intents, found
    sys.stdout.write("passed\n")


asyncio.run(main())
