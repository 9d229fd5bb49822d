"""A block is cancelled by its lease as by ``asyncio.timeout``: no more, no less."""

# ruff: noqa: PT012 - what a whole block raises is the point.

import asyncio
from collections.abc import Callable
from types import TracebackType
from typing import Self

import pytest

from quorate.client.cancellation import CancelScope


class Gone(Exception):
    pass


class Guarded:
    """The smallest block that can be interrupted."""

    def __init__(self) -> None:
        self.cancel: Callable[[], None] = lambda: None
        self.gone = False

    async def __aenter__(self) -> Self:
        self._scope = CancelScope()
        self.cancel = self._scope.cancel
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._scope.close(kind):
            raise Gone from error


def soon(call: Callable[[], None]) -> None:
    asyncio.get_running_loop().call_soon(call)


async def for_ever() -> None:
    await asyncio.Event().wait()


async def nothing_is_left() -> None:
    """No cancellation waits for this task."""
    await asyncio.sleep(0)
    task = asyncio.current_task()
    assert task is not None
    assert task.cancelling() == 0


async def test_what_is_interrupted_raises_why() -> None:
    with pytest.raises(Gone):
        async with Guarded() as block:
            soon(block.cancel)
            await for_ever()
    await nothing_is_left()


async def test_a_block_that_is_not_interrupted_just_ends() -> None:
    async with Guarded():
        await asyncio.sleep(0)
    await nothing_is_left()


async def test_an_interruption_after_the_end_does_nothing() -> None:
    async with Guarded() as block:
        pass
    block.cancel()
    await nothing_is_left()


async def test_it_interrupts_once() -> None:
    with pytest.raises(Gone):
        async with Guarded() as block:
            soon(block.cancel)
            soon(block.cancel)
            await for_ever()
    await nothing_is_left()


async def test_a_block_whose_awaited_thing_happens_at_the_same_moment_is_interrupted() -> None:
    done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    with pytest.raises(Gone):
        async with Guarded() as block:
            soon(lambda: done.set_result(None))
            soon(block.cancel)
            await done
    await nothing_is_left()


async def test_a_block_that_finds_out_by_itself_is_not_cancelled() -> None:
    async with Guarded() as block:
        block.cancel()
        await asyncio.sleep(0)
        soon(block.cancel)
        await asyncio.sleep(0)
    await nothing_is_left()


async def test_a_block_that_swallows_its_cancellation_goes_on_uncancelled() -> None:
    async with Guarded() as block:
        soon(block.cancel)
        try:
            await for_ever()
        except asyncio.CancelledError:
            block.gone = True
    assert block.gone
    await nothing_is_left()


async def test_the_blocks_own_exception_is_not_replaced() -> None:
    with pytest.raises(ValueError, match="own"):
        async with Guarded() as block:
            soon(block.cancel)
            try:
                await for_ever()
            finally:
                raise ValueError("own")
    await nothing_is_left()


async def test_a_cancellation_from_outside_stays_one() -> None:
    async def work() -> None:
        async with Guarded():
            await for_ever()

    task = asyncio.create_task(work())
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


@pytest.mark.parametrize("outside_first", [True, False])
async def test_a_cancellation_from_outside_at_the_same_moment_stays_one(
    outside_first: bool,
) -> None:
    blocks: list[Guarded] = []

    async def work() -> None:
        async with Guarded() as block:
            blocks.append(block)
            await for_ever()

    task = asyncio.create_task(work())
    await asyncio.sleep(0)
    if outside_first:
        task.cancel()
    blocks[0].interrupt()
    if not outside_first:
        task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert task.cancelled()


async def test_a_timeout_around_it_at_the_same_moment_is_a_timeout() -> None:
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(None) as limit, Guarded() as block:
            limit.reschedule(asyncio.get_running_loop().time())
            soon(block.cancel)
            await for_ever()
    await nothing_is_left()


async def test_of_nested_blocks_the_inner_one_answers_for_itself() -> None:
    async with Guarded():
        with pytest.raises(Gone):
            async with Guarded() as inner:
                soon(inner.interrupt)
                await for_ever()
        await asyncio.sleep(0)
    await nothing_is_left()


async def test_an_outer_block_is_interrupted_through_the_inner_one() -> None:
    inner = Guarded()
    with pytest.raises(Gone):
        async with Guarded() as outer:
            with pytest.raises(asyncio.CancelledError):
                async with inner:
                    soon(outer.interrupt)
                    await for_ever()
            raise asyncio.CancelledError
    await nothing_is_left()


async def test_of_two_that_are_interrupted_at_once_the_outer_one_answers() -> None:
    heard: list[str] = []
    with pytest.raises(Gone):
        async with Guarded() as outer:
            try:
                async with Guarded() as inner:
                    soon(inner.interrupt)
                    soon(outer.interrupt)
                    await for_ever()
            except Gone:
                heard.append("inner")
            except asyncio.CancelledError:
                heard.append("outer")
                raise
    assert heard == ["outer"]
    await nothing_is_left()


async def test_a_task_group_inside_is_cancelled_as_a_whole() -> None:
    ended: list[str] = []

    async def child() -> None:
        try:
            await for_ever()
        finally:
            ended.append("child")

    with pytest.raises(Gone):
        async with Guarded() as block, asyncio.TaskGroup() as tasks:
            tasks.create_task(child())
            await asyncio.sleep(0)
            soon(block.cancel)
            await for_ever()
    assert ended == ["child"]
    await nothing_is_left()
