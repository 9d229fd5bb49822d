"""The same commands at the same times with the same ids give the same bytes in every version.

A change that breaks this file breaks every existing log: its events could not be read, or its chain
would not verify. Stored events are never rewritten; see ``UPCASTERS``.

``golden/log.<n>.jsonl`` is the log as the nth version of the rules wrote it. The last one is what
the current version writes; the earlier ones must stay readable.
"""

import orjson
import pytest

from quorate.domain.coordination.leases import LEASES
from quorate.domain.registry import EVENT_TYPES, new_state
from quorate.domain.shared.timestamps import instant
from quorate.eventlog.hash_chain import GENESIS, verify_exported_event
from quorate.eventlog.serialization import read
from tests.conformance.eventlog import golden_commands
from tests.conformance.eventlog.conformance import Platform, Stage
from tests.support.paths import GOLDEN_EVENTS

FOLDER = GOLDEN_EVENTS
LOGS = [path.read_bytes().splitlines() for path in sorted(FOLDER.glob("log.*.jsonl"))]
RESTART_EACH = 4  # Commands: a start costs far more than a command.
GOLDEN = LOGS[-1]
EVERY = pytest.mark.parametrize("log", LOGS, ids=range(1, len(LOGS) + 1))


async def test_golden_commands_give_the_golden_log(stage: Stage) -> None:
    await golden_commands.tell(stage)

    assert await stage.lines() == GOLDEN


async def test_golden_log_does_not_depend_on_batches(stage: Stage) -> None:
    await golden_commands.tell_at_once(stage)

    assert await stage.lines() == GOLDEN
    assert len(stage.committed) < len(golden_commands.STORY) / 2


async def test_golden_log_does_not_depend_on_restarts(platform: Platform) -> None:
    stage = Stage(platform)
    await stage.open()
    try:
        for number, (minutes, command) in enumerate(golden_commands.STORY):
            stage.clock.move(minutes=minutes)
            await stage.submit(command)
            if number % RESTART_EACH == 0:
                await stage.restart()
        lines = await stage.lines()
    finally:
        await stage.close()

    assert lines == GOLDEN


def test_golden_log_contains_every_event_type() -> None:
    assert {orjson.loads(line)["type"] for line in GOLDEN} == set(EVENT_TYPES)


@EVERY
def test_golden_log_chain_verifies(log: list[bytes]) -> None:
    head = GENESIS
    for line in log:
        head = verify_exported_event(orjson.loads(line), head)

    assert head.sequence == len(log)


@EVERY
def test_golden_log_can_be_read_and_written_again(log: list[bytes]) -> None:
    tenant_state = new_state()
    for line in log:
        event = orjson.loads(line)
        tenant_state.apply(
            read(event["type"], event["version"], event["data"]), instant(event["at"])
        )

    driver = {name: lease.status for name, lease in tenant_state[LEASES].items()}
    ended = {"lease-1": "revoked", "lease-3": "expired", "lease-4": "released"}
    assert driver == {**ended, "lease-5": "active"}
    assert tenant_state[LEASES]["lease-1"].contenders == (golden_commands.id_of("bob"),)
