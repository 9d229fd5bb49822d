"""Tenants take turns when more requests are ready than a round of the event loop may start."""

import asyncio

from quorate.server.request_turns import STARTS_PER_ROUND, RequestTurns


async def test_request_starts_at_once_without_a_flood() -> None:
    turns, started = RequestTurns(), list[str]()
    loop = asyncio.get_running_loop()

    turns.start("acme", lambda: started.append("acme"), loop)

    assert started == ["acme"]


async def test_round_starts_a_limited_number_and_all_start_in_their_order() -> None:
    turns, started = RequestTurns(), list[int]()
    loop = asyncio.get_running_loop()
    count = 3 * STARTS_PER_ROUND

    for number in range(count):
        turns.start("acme", lambda number=number: started.append(number), loop)  # type: ignore[misc]
    assert len(started) == STARTS_PER_ROUND
    await asyncio.sleep(0)
    assert len(started) == 2 * STARTS_PER_ROUND
    await asyncio.sleep(0)

    assert started == list(range(count))


async def test_request_of_another_tenant_starts_in_the_next_round() -> None:
    turns, started = RequestTurns(), list[str]()
    loop = asyncio.get_running_loop()
    for _ in range(100 * STARTS_PER_ROUND):
        turns.start("flooding", lambda: started.append("flooding"), loop)

    turns.start("quiet", lambda: started.append("quiet"), loop)
    await asyncio.sleep(0)

    assert started.index("quiet") <= STARTS_PER_ROUND + 1


async def test_tenants_alternate() -> None:
    turns, started = RequestTurns(), list[str]()
    loop = asyncio.get_running_loop()
    for _ in range(STARTS_PER_ROUND):
        turns.start("first", lambda: None, loop)
    for owner in ("a", "b", "c"):
        for _ in range(3):
            turns.start(owner, lambda owner=owner: started.append(owner), loop)  # type: ignore[misc]
    await asyncio.sleep(0)

    assert started == ["a", "b", "c"] * 3


async def test_requests_start_at_once_again_after_a_flood() -> None:
    turns, started = RequestTurns(), list[int]()
    loop = asyncio.get_running_loop()
    for _ in range(2 * STARTS_PER_ROUND):
        turns.start("acme", lambda: None, loop)
    for _ in range(3):
        await asyncio.sleep(0)

    turns.start("acme", lambda: started.append(1), loop)

    assert started == [1]
