"""What a view is: a path, a title, a template, the operations it needs, and what it loads."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, TypeAlias
from urllib.parse import quote, urlencode

from quorate.api.console.caller import Caller
from quorate.domain.shared.records import record

ROOT = "/console"
AS_OF = "asOf"  # Reserved: the moment that a page shows. Links keep it.
PAGE_LENGTH = 50
SEQUENCE_DIGITS_MAX = 15


@record
class Place:
    """The URL of a view: the values of its path, and its filters.

    ``query`` also contains ``asOf``, the moment that is shown: every link keeps it.
    """

    path: str
    ids: Mapping[str, str]
    query: Mapping[str, str]

    def get(self, name: str) -> str:
        return self.query.get(name, "")

    @property
    def as_of(self) -> str:
        """The moment that is shown, as it was sent; "" is the present."""
        return self.get(AS_OF)

    @property
    def is_filtered(self) -> bool:
        return any(value for name, value in self.query.items() if name != AS_OF)

    @property
    def url(self) -> str:
        """Return the URL of this view without filters."""
        return f"{ROOT}{quote(self.path)}"

    def link(self, **changes: object) -> str:
        """Return the URL of this view with other filters; None and "" remove one."""
        kept = {**self.query, **{name: "" if v is None else str(v) for name, v in changes.items()}}
        query = urlencode({name: value for name, value in kept.items() if value})
        return self.url + (f"?{query}" if query else "")


# Its arguments are the caller and the place; it returns the variables of the template.
Load: TypeAlias = Callable[[Caller, Place], Awaitable[Mapping[str, Any]]]


@record
class View:
    """One page of the console.

    ``needs`` are operations: the view is for roles that may call all of them. ``filters`` are the
    parameters of its URL; all others are ignored. A view that is not live has no stream.
    """

    name: str
    path: str  # Below /console. ``{name}`` is a value of the path.
    title: str
    template: str
    load: Load
    needs: tuple[str, ...] = ()
    filters: tuple[str, ...] = ()
    in_navigation: bool = True
    is_live: bool = True
