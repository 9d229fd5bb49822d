"""Count a connection for the caller that uses it.

The server limits the connections of each caller, but only admission knows the caller. The server
therefore offers an ASGI extension with each request.
"""

from collections.abc import Callable
from typing import TypeAlias

from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

from quorate.contracts.problems import Problem
from quorate.domain.identity.principals import Principal
from quorate.runtime.asgi import Scope

EXTENSION = "quorate.connection"
CLAIM = "claim"
RETRY_AFTER_SECONDS = 1
# Takes the actor; returns False if the actor has too many connections.
Claim: TypeAlias = Callable[[str], bool]


def offer_claim(cycle: RequestResponseCycle, claim: Claim) -> None:
    """Offer the extension for one request, after those of ``response_writer``."""
    cycle.scope["extensions"][EXTENSION] = {CLAIM: claim}


def claim_connection(scope: Scope, principal: Principal) -> None:
    """Count the connection for the caller; raise Problem if the caller has too many."""
    offered = scope.get("extensions", {}).get(EXTENSION)
    if offered is not None and not offered[CLAIM](principal.actor):
        raise Problem(
            "rate_limited",
            "This agent or key has too many open connections.",
            headers={"Retry-After": str(RETRY_AFTER_SECONDS)},
            limitedBy="connections",
            retryAfterSeconds=float(RETRY_AFTER_SECONDS),
        )
