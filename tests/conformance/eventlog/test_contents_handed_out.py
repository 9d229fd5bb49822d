"""A command that hands contents out gets them as they are at the end of its transaction."""

import asyncio
from typing import Any

import pytest

from quorate.domain.registry import SCHEMA
from quorate.domain.shared.contents import Contents
from quorate.domain.shared.records import record
from quorate.domain.shared.state import Command
from quorate.eventlog.contents import HANDED_OUT_BYTES_MAX
from quorate.eventlog.envelopes import Accepted, CommandResult, Rejected
from tests.conformance.eventlog.conformance import OTHER_TENANT, Key, Stage
from tests.unit.support.sample_commands import LEE, acquire, heartbeat, key_of, release
from tests.unit.support.sample_contents import ERASES, ID, WithContents, content, with_contents


@record
class HandingOut(WithContents):
    """Any command that hands out the contents of a contact."""

    contact_key: str = ID

    def hands_out(self, _result: Any) -> str | None:  # noqa: ANN401 - of any command.
        return self.contact_key or None


def handing_out(command: Command, contact_key: str = ID) -> HandingOut:
    return HandingOut(command=command, given=(), contact_key=contact_key)


def handed(result: CommandResult) -> Contents | None:
    assert isinstance(result, Accepted), result
    return result.contents


async def test_each_command_gets_the_contents_of_its_id_and_tenant(stage: Stage) -> None:
    await stage.create_agents("ann")
    await stage.create_agents("ann", tenant=OTHER_TENANT)
    text, html = content(), content("html", b"<p>")
    other = content(id_=LEE.key, data=b"lee")
    foreign = content(data=b"of another tenant")
    await stage.execute(with_contents(acquire("ann"), text, html))
    await stage.execute(with_contents(acquire("ann", LEE, lease="lee"), other))
    await stage.execute(with_contents(acquire("ann"), foreign), tenant=OTHER_TENANT)
    commits = stage.database.commits

    results = await asyncio.gather(
        stage.start(handing_out(release("new-lease", by=key_of("ann")))),
        stage.start(handing_out(heartbeat("ann"), LEE.key)),
        stage.start(handing_out(heartbeat("ann"), "unknown")),
        stage.start(handing_out(heartbeat("ann"), "")),
        stage.start(handing_out(release("new-lease", by=key_of("ann"))), tenant=OTHER_TENANT),
        stage.start(handing_out(release("none", by=key_of("ann")))),
    )

    assert stage.database.commits == commits + 1
    assert [handed(one) for one in results[:-1]] == [
        {(ID, "text"): text, (ID, "html"): html},
        {(LEE.key, "text"): other},
        {},
        None,
        {(ID, "text"): foreign},
    ]
    assert isinstance(results[-1], Rejected)


async def test_contents_of_the_same_batch_are_handed_out(stage: Stage) -> None:
    await stage.create_agents("ann")
    commits = stage.database.commits

    _, found = await asyncio.gather(
        stage.start(with_contents(acquire("ann"))), stage.start(handing_out(heartbeat("ann")))
    )

    assert stage.database.commits == commits + 1
    assert handed(found) == {(ID, "text"): content()}


async def test_contents_that_are_erased_in_the_same_batch_are_not_handed_out(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(SCHEMA.erases, *ERASES)
    await stage.create_agents("ann")
    await stage.execute(with_contents(acquire("ann")))

    found, _ = await asyncio.gather(
        stage.start(handing_out(heartbeat("ann"))),
        stage.start(release("new-lease", by=key_of("ann"))),
    )

    assert handed(found) == {}


@pytest.mark.parametrize("excess", [0, 1])
async def test_large_contents_are_left_to_be_read_apart(stage: Stage, excess: int) -> None:
    await stage.create_agents("ann")
    large = content("html", bytes(HANDED_OUT_BYTES_MAX + excess))
    await stage.execute(with_contents(acquire("ann"), content(), large))

    found = await stage.submit(handing_out(heartbeat("ann")))

    assert handed(found) == (None if excess else {(ID, "text"): content(), (ID, "html"): large})


async def test_repeated_response_hands_nothing_out(stage: Stage) -> None:
    await stage.create_agents("ann")
    await stage.execute(with_contents(acquire("ann")))
    granted = handing_out(acquire("ann", LEE, lease="lee"))
    released = handing_out(release("lee", by=key_of("ann")))

    first, second = [await stage.submit(granted, key=Key(key="k")) for _ in range(2)]
    of_one_batch = await asyncio.gather(
        *(stage.start(released, key=Key(key="l")) for _ in range(2))
    )

    assert handed(first) == {(ID, "text"): content()}
    assert handed(second) is None
    assert [handed(one) is None for one in of_one_batch] == [False, True]
