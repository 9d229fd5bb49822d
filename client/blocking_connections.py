"""Connect an asynchronous object on an event loop in another thread, as a synchronous block."""

from collections.abc import Callable, Iterator
from contextlib import AbstractAsyncContextManager, AbstractContextManager, contextmanager
from functools import wraps
from typing import ParamSpec, TypeVar

from quorate.client.held_contexts import held
from quorate.client.loop_thread import LoopThread

P = ParamSpec("P")
R = TypeVar("R")
T = TypeVar("T")


def make_connect(
    connect: Callable[P, AbstractAsyncContextManager[T]], proxy: Callable[[LoopThread, T], R]
) -> Callable[P, AbstractContextManager[R]]:
    """Return ``connect`` as a synchronous function whose block gets the proxy of the object."""

    @held
    @wraps(connect)
    @contextmanager
    def connect_sync(*args: P.args, **kwargs: P.kwargs) -> Iterator[R]:
        loop = LoopThread()
        try:
            with _enter(loop, connect(*args, **kwargs)) as target:
                yield proxy(loop, target)
        finally:
            loop.close()

    return connect_sync


@contextmanager
def _enter(loop: LoopThread, context: AbstractAsyncContextManager[T]) -> Iterator[T]:
    """Enter an asynchronous context manager. It exits normally, whatever the block raises."""

    async def enter() -> T:
        return await context.__aenter__()

    async def leave() -> None:
        await context.__aexit__(None, None, None)

    entered = loop.run(enter())
    try:
        yield entered
    finally:
        if not loop.is_stopped:
            loop.run(leave())
