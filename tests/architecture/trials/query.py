"""Run in a copy of the repository that has the query of CONTRIBUTING.md."""

import asyncio
import sys

from tests.architecture.trials.interfaces import (
    INTERFACES,
    Arguments,
    call_everywhere,
    find_in_documents,
    open_scene,
)

NAME = "getContenders"


async def main() -> None:
    documented = find_in_documents(NAME)
    assert documented["summary"] == "List the agents that contend for a lease"
    assert "404" in documented["responses"]
    async with open_scene() as scene:
        arguments = [Arguments(ids={"lease_id": scene.lease_id})] * len(INTERFACES)
        found = await call_everywhere(scene, NAME, arguments)
        expected = {"agentIds": [scene.other.id]}
        assert found == dict.fromkeys(INTERFACES, expected), found
    sys.stdout.write("passed\n")


asyncio.run(main())
