"""Context managers that stay entered when they are entered by hand.

``agent = await Agent.connect().__aenter__()``, as in a notebook, keeps no reference to the context
manager. Python would then collect its generator, which runs the end of the block: the agent would
disconnect at once. These functions keep each entered context manager until it is left.
"""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from functools import wraps
from types import TracebackType
from typing import Generic, ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")

_entered: set[object] = set()


def held_async(
    make: Callable[P, AbstractAsyncContextManager[T]],
) -> Callable[P, AbstractAsyncContextManager[T]]:
    """Decorate a function that makes an asynchronous context manager."""

    @wraps(make)
    def make_held(*args: P.args, **kwargs: P.kwargs) -> AbstractAsyncContextManager[T]:
        return _HeldAsync(make(*args, **kwargs))

    return make_held


def held(
    make: Callable[P, AbstractContextManager[T]],
) -> Callable[P, AbstractContextManager[T]]:
    """Decorate a function that makes a context manager."""

    @wraps(make)
    def make_held(*args: P.args, **kwargs: P.kwargs) -> AbstractContextManager[T]:
        return _Held(make(*args, **kwargs))

    return make_held


class _HeldAsync(AbstractAsyncContextManager[T], Generic[T]):
    def __init__(self, context: AbstractAsyncContextManager[T]) -> None:
        self._context = context

    async def __aenter__(self) -> T:
        entered = await self._context.__aenter__()
        _entered.add(self)
        return entered

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> bool | None:
        _entered.discard(self)
        return await self._context.__aexit__(kind, error, trace)


class _Held(AbstractContextManager[T], Generic[T]):
    def __init__(self, context: AbstractContextManager[T]) -> None:
        self._context = context

    def __enter__(self) -> T:
        entered = self._context.__enter__()
        _entered.add(self)
        return entered

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> bool | None:
        _entered.discard(self)
        return self._context.__exit__(kind, error, trace)
