"""The same commands at the same times with the same ids give the same bytes, for ever.

A change that breaks this file breaks every log that exists: its events could not be read again,
or its chain would not verify. What was stored is never rewritten; see ``UPCASTERS``.
"""

from pathlib import Path

import orjson

from quorate.domain.events import EVENT_TYPES
from quorate.eventlog.chain import GENESIS, check_public
from tests.eventlog import play
from tests.eventlog.conformance import Platform, Stage

GOLDEN = (Path(__file__).parent / "golden" / "log.jsonl").read_bytes().splitlines()


async def test_the_story_gives_the_log_that_it_always_gave(stage: Stage) -> None:
    await play.tell(stage)

    assert await stage.lines() == GOLDEN


async def test_it_does_not_matter_how_commands_fall_into_batches(stage: Stage) -> None:
    await play.tell_at_once(stage)

    assert await stage.lines() == GOLDEN
    assert len(stage.committed) < len(play.STORY) / 2


async def test_it_does_not_matter_how_often_the_service_is_restarted(platform: Platform) -> None:
    stage = Stage(platform)
    await stage.open()
    try:
        for minutes, command in play.STORY:
            stage.clock.move(minutes=minutes)
            await stage.ask(command)
            await stage.restart()
        lines = await stage.lines()
    finally:
        await stage.close()

    assert lines == GOLDEN


def test_every_kind_of_event_happens_in_it() -> None:
    assert {orjson.loads(line)["type"] for line in GOLDEN} == set(EVENT_TYPES)


def test_its_chain_verifies() -> None:
    head = GENESIS
    for line in GOLDEN:
        head = check_public(orjson.loads(line), head)

    assert head.sequence == len(GOLDEN)
