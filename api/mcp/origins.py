"""Which web pages may call the MCP endpoint: those of the operator's origins and of this machine.

MCP requires the check of the header Origin. A page that was loaded under a name which later points
to this machine (DNS rebinding) sends that name as its origin. Programs send none.
"""

from collections.abc import Collection, Mapping
from urllib.parse import urlsplit

from quorate.contracts.problems import Problem

EVERY_ORIGIN = "*"
LOOPBACK_HOSTS = frozenset({"localhost", "127.0.0.1", "::1"})


def require_known_origin(headers: Mapping[bytes, bytes], origins: Collection[str]) -> None:
    """Raise Problem for a request of a web page that is not known."""
    sent = headers.get(b"origin")
    if sent is None or EVERY_ORIGIN in origins:
        return
    origin = sent.decode("latin-1")
    if origin in origins or _host(origin) in LOOPBACK_HOSTS:
        return
    raise Problem(
        "origin_forbidden", "The operator permits origins with `quorate serve --cors-origin`."
    )


def _host(origin: str) -> str | None:
    try:
        return urlsplit(origin).hostname
    except ValueError:
        return None
