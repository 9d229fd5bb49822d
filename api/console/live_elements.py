"""Elements of a page that a stream patches in place, and the difference between two renderings.

A template writes ``{% call live("lease-1", "tr", "") %}...{% endcall %}``. The rendering collects
each element by its id; the page contains it as it is. The stream renders the page again after a
commit, and sends the elements that changed.
"""

from collections.abc import Callable, Mapping

import orjson
from markupsafe import Markup

OPEN_TAGS = frozenset({"tr", "li", "div", "section", "p", "span", "tbody"})


class LiveElements:
    """Collects the elements of one rendering, in the order of the page."""

    def __init__(self) -> None:
        self.found: dict[str, str] = {}

    def live(self, id_: str, tag: str, css_class: str = "", *, caller: Callable[[], str]) -> Markup:
        assert tag in OPEN_TAGS, tag
        inner = Markup(caller())  # noqa: S704 - it was rendered with autoescape.
        element = Markup('<{0} id="{1}" class="{2}" data-live>{3}</{0}>').format(
            tag, id_, css_class, inner
        )
        self.found[id_] = str(element)
        return element


def patch(before: Mapping[str, str] | None, now: Mapping[str, str]) -> bytes | None:
    """Return one message with the changed elements and the ids of all; None if none changed."""
    if before == now:
        return None
    known = before or {}
    changed = {id_: html for id_, html in now.items() if known.get(id_) != html}
    return orjson.dumps({"ids": list(now), "changed": changed})
