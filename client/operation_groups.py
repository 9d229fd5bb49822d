"""Declare groups of operations, such as ``client.leases``, from functions that make requests.

* Each method is declared once, for both clients. Its arguments are those of the function, which
  also documents it.
* With ``Client`` a method returns the result, with ``AsyncClient`` an awaitable of it. ``Pages``
  become an iterator or an asynchronous iterator. Type checkers see the exact types of both.
"""

from collections.abc import AsyncIterator, Callable, Coroutine, Iterable, Iterator
from functools import wraps
from typing import Any, Generic, ParamSpec, Protocol, Self, TypeVar, overload

from quorate.client.callers import AsyncCaller, BlockingCaller
from quorate.client.event_reader import stalled_log
from quorate.client.request_builder import Request
from quorate.client.serialization import Response

P = ParamSpec("P")
T = TypeVar("T")
PageT = TypeVar("PageT")
CallerT_co = TypeVar("CallerT_co", bound=BlockingCaller | AsyncCaller, covariant=True)


class _LogPage(Protocol):
    @property
    def next(self) -> int: ...
    @property
    def head(self) -> int: ...
    @property
    def log_id(self) -> str | None: ...


ItemT = TypeVar("ItemT")
LogPageT = TypeVar("LogPageT", bound=_LogPage)


class Group(Generic[CallerT_co]):
    """The operations on one kind of resource, sent by one client."""

    def __init__(self, caller: CallerT_co) -> None:
        self._caller = caller

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._caller!r})"


# -- Descriptors -------------------------------------------------------------


class Method(Generic[P, T]):
    """Descriptor: makes a request and has the client execute it."""

    def __init__(self, make: Callable[P, Request[T]]) -> None:
        self._make = make

    @overload
    def __get__(self, group: None, owner: type[Group[Any]]) -> Self: ...
    @overload
    def __get__(self, group: Group[BlockingCaller], owner: type[Group[Any]]) -> Callable[P, T]: ...
    @overload
    def __get__(
        self, group: Group[AsyncCaller], owner: type[Group[Any]]
    ) -> Callable[P, Coroutine[Any, Any, T]]: ...
    def __get__(self, group: Group[Any] | None, owner: type[Group[Any]]) -> Any:
        if group is None:
            return self
        execute = group._caller.execute  # noqa: SLF001 - a part of the group.

        @wraps(self._make)
        def call(*args: P.args, **kwargs: P.kwargs) -> Any:  # noqa: ANN401 - T or its awaitable.
            return execute(self._make(*args, **kwargs))

        return call


class Pages(Generic[P, PageT, T]):
    """Descriptor: yields the items of all pages, and requests each page when it is needed.

    ``items`` returns the items of a page; ``following`` returns the request after a response.
    """

    def __init__(
        self,
        make: Callable[P, Request[PageT]],
        items: Callable[[PageT], Iterable[T]],
        following: Callable[[Request[PageT], Response[PageT]], Request[PageT] | None],
    ) -> None:
        self._make = make
        self._items = items
        self._following = following

    @overload
    def __get__(self, group: None, owner: type[Group[Any]]) -> Self: ...
    @overload
    def __get__(
        self, group: Group[BlockingCaller], owner: type[Group[Any]]
    ) -> Callable[P, Iterator[T]]: ...
    @overload
    def __get__(
        self, group: Group[AsyncCaller], owner: type[Group[Any]]
    ) -> Callable[P, AsyncIterator[T]]: ...
    def __get__(self, group: Group[Any] | None, owner: type[Group[Any]]) -> Any:
        if group is None:
            return self
        caller = group._caller  # noqa: SLF001 - a part of the group.
        iterate = self._iterate if isinstance(caller, BlockingCaller) else self._iterate_async

        @wraps(self._make)
        def call(*args: P.args, **kwargs: P.kwargs) -> Any:  # noqa: ANN401 - either iterator.
            return iterate(caller, self._make(*args, **kwargs))

        return call

    def _iterate(self, caller: BlockingCaller, first: Request[PageT]) -> Iterator[T]:
        request: Request[PageT] | None = first
        while request is not None:
            response = caller.send(request)
            yield from self._items(response.result)
            request = self._following(request, response)

    async def _iterate_async(self, caller: AsyncCaller, first: Request[PageT]) -> AsyncIterator[T]:
        request: Request[PageT] | None = first
        while request is not None:
            response = await caller.send(request)
            for item in self._items(response.result):
                yield item
            request = self._following(request, response)


def all_items(make: Callable[P, Request[list[ItemT]]]) -> Pages[P, list[ItemT], ItemT]:
    """Declare an iteration over a list: ``limit`` becomes the length of a page."""
    return Pages(make, _same, _following_page)


def _same(items: list[ItemT]) -> list[ItemT]:
    return items


def _following_page(
    request: Request[list[ItemT]], response: Response[list[ItemT]]
) -> Request[list[ItemT]] | None:
    """Follow the link of the response: a page that is large ends before its limit."""
    after = response.next_after
    return None if after is None else request.continue_after(after)


def following_log_page(
    request: Request[LogPageT], response: Response[LogPageT]
) -> Request[LogPageT] | None:
    page = response.result
    if page.next >= page.head:
        return None
    after = int(request.parameters["after"])
    if page.next <= after:
        raise stalled_log(after)
    return request.continue_after(page.next, page.log_id)
