"""Synchronous proxies of objects that live on an event loop in another thread."""

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Coroutine, Iterator
from functools import wraps
from typing import Any, Concatenate, Generic, ParamSpec, Self, TypeVar, overload

from quorate.client.loop_thread import LoopThread

P = ParamSpec("P")
R = TypeVar("R")
T = TypeVar("T")


class SyncProxy:
    """Synchronous proxy for one object that lives on the loop."""

    def __init__(self, loop: LoopThread, target: Any) -> None:  # noqa: ANN401 - an Agent, Lease, ...
        self._loop = loop
        self._target = target

    def __repr__(self) -> str:
        return f"blocking.{self._target!r}"


class Method(Generic[P, R, T]):
    """Descriptor: calls the method of the target, and converts its return value."""

    def __init__(
        self, method: Callable[Concatenate[Any, P], R], convert: Callable[[LoopThread, R], T]
    ) -> None:
        self._method = method
        self._convert = convert

    @overload
    def __get__(self, proxy: None, owner: type[SyncProxy]) -> Self: ...
    @overload
    def __get__(self, proxy: SyncProxy, owner: type[SyncProxy]) -> Callable[P, T]: ...
    def __get__(self, proxy: SyncProxy | None, owner: type[SyncProxy]) -> Self | Callable[P, T]:
        if proxy is None:
            return self
        loop, target = proxy._loop, proxy._target  # noqa: SLF001 - a part of the proxy.

        @wraps(self._method)
        def call(*args: P.args, **kwargs: P.kwargs) -> T:
            return self._convert(loop, self._method(target, *args, **kwargs))

        return call


def run(
    method: Callable[Concatenate[Any, P], Coroutine[Any, Any, T]],
) -> Method[P, Coroutine[Any, Any, T], T]:
    return Method(method, LoopThread.run)


def iterate(loop: LoopThread, items: AsyncIterator[T]) -> Iterator[T]:
    """Yield the items of an asynchronous iterator, and close it at the end."""

    async def fetch_next() -> tuple[T] | None:
        try:
            return (await anext(items),)
        except StopAsyncIteration:
            return None

    async def close() -> None:
        if isinstance(items, AsyncGenerator):
            await items.aclose()

    try:
        while (item := loop.run(fetch_next())) is not None:
            yield item[0]
    finally:
        if not loop.is_stopped:
            loop.run(close())
