"""A ``CancelScope`` cancels a block exactly as ``asyncio.timeout`` does."""

# ruff: noqa: PT012 - the tests are about the exception of a whole block.

import asyncio
from collections.abc import Callable
from types import TracebackType
from typing import Self

import pytest

from quorate.client.cancellation import CancelScope


class BlockCancelled(Exception):
    pass


class CancellableBlock:
    """The smallest block with a cancel scope."""

    def __init__(self) -> None:
        self.cancel: Callable[[], None] = lambda: None
        self.swallowed = False

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
            raise BlockCancelled from error


def call_soon(call: Callable[[], None]) -> None:
    asyncio.get_running_loop().call_soon(call)


async def wait_forever() -> None:
    await asyncio.Event().wait()


async def assert_no_pending_cancellation() -> None:
    """Fail if a cancellation is pending for this task."""
    await asyncio.sleep(0)
    task = asyncio.current_task()
    assert task is not None
    assert task.cancelling() == 0


async def test_cancelled_block_raises_the_reason() -> None:
    with pytest.raises(BlockCancelled):
        async with CancellableBlock() as block:
            call_soon(block.cancel)
            await wait_forever()
    await assert_no_pending_cancellation()


async def test_block_that_is_not_cancelled_ends_normally() -> None:
    async with CancellableBlock():
        await asyncio.sleep(0)
    await assert_no_pending_cancellation()


async def test_cancel_after_the_end_has_no_effect() -> None:
    async with CancellableBlock() as block:
        pass
    block.cancel()
    await assert_no_pending_cancellation()


async def test_second_cancel_has_no_effect() -> None:
    with pytest.raises(BlockCancelled):
        async with CancellableBlock() as block:
            call_soon(block.cancel)
            call_soon(block.cancel)
            await wait_forever()
    await assert_no_pending_cancellation()


async def test_block_is_cancelled_when_its_future_completes_at_the_same_moment() -> None:
    done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    with pytest.raises(BlockCancelled):
        async with CancellableBlock() as block:
            call_soon(lambda: done.set_result(None))
            call_soon(block.cancel)
            await done
    await assert_no_pending_cancellation()


async def test_block_that_calls_cancel_itself_is_not_cancelled() -> None:
    async with CancellableBlock() as block:
        block.cancel()
        await asyncio.sleep(0)
        call_soon(block.cancel)
        await asyncio.sleep(0)
    await assert_no_pending_cancellation()


async def test_block_that_swallows_its_cancellation_continues() -> None:
    async with CancellableBlock() as block:
        call_soon(block.cancel)
        try:
            await wait_forever()
        except asyncio.CancelledError:
            block.swallowed = True
    assert block.swallowed
    await assert_no_pending_cancellation()


async def test_exception_of_the_block_is_not_replaced() -> None:
    with pytest.raises(ValueError, match="own"):
        async with CancellableBlock() as block:
            call_soon(block.cancel)
            try:
                await wait_forever()
            finally:
                raise ValueError("own")
    await assert_no_pending_cancellation()


async def test_cancellation_from_outside_stays_a_cancellation() -> None:
    async def work() -> None:
        async with CancellableBlock():
            await wait_forever()

    task = asyncio.create_task(work())
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


@pytest.mark.parametrize("outside_first", [True, False])
async def test_cancellation_from_outside_at_the_same_moment_stays_a_cancellation(
    outside_first: bool,
) -> None:
    blocks: list[CancellableBlock] = []

    async def work() -> None:
        async with CancellableBlock() as block:
            blocks.append(block)
            await wait_forever()

    task = asyncio.create_task(work())
    await asyncio.sleep(0)
    if outside_first:
        task.cancel()
    blocks[0].cancel()
    if not outside_first:
        task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert task.cancelled()


async def test_outer_timeout_at_the_same_moment_stays_a_timeout() -> None:
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(None) as limit, CancellableBlock() as block:
            limit.reschedule(asyncio.get_running_loop().time())
            call_soon(block.cancel)
            await wait_forever()
    await assert_no_pending_cancellation()


async def test_cancelled_inner_block_raises_without_the_outer_block() -> None:
    async with CancellableBlock():
        with pytest.raises(BlockCancelled):
            async with CancellableBlock() as inner:
                call_soon(inner.cancel)
                await wait_forever()
        await asyncio.sleep(0)
    await assert_no_pending_cancellation()


async def test_cancelled_outer_block_cancels_the_inner_block() -> None:
    inner = CancellableBlock()
    with pytest.raises(BlockCancelled):
        async with CancellableBlock() as outer:
            with pytest.raises(asyncio.CancelledError):
                async with inner:
                    call_soon(outer.cancel)
                    await wait_forever()
            raise asyncio.CancelledError
    await assert_no_pending_cancellation()


async def test_outer_block_raises_when_both_blocks_are_cancelled_at_once() -> None:
    caught: list[str] = []
    with pytest.raises(BlockCancelled):
        async with CancellableBlock() as outer:
            try:
                async with CancellableBlock() as inner:
                    call_soon(inner.cancel)
                    call_soon(outer.cancel)
                    await wait_forever()
            except BlockCancelled:
                caught.append("inner")
            except asyncio.CancelledError:
                caught.append("outer")
                raise
    assert caught == ["outer"]
    await assert_no_pending_cancellation()


async def test_task_group_in_the_block_is_cancelled() -> None:
    finished: list[str] = []

    async def child() -> None:
        try:
            await wait_forever()
        finally:
            finished.append("child")

    with pytest.raises(BlockCancelled):
        async with CancellableBlock() as block, asyncio.TaskGroup() as tasks:
            tasks.create_task(child())
            await asyncio.sleep(0)
            call_soon(block.cancel)
            await wait_forever()
    assert finished == ["child"]
    await assert_no_pending_cancellation()
