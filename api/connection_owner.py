"""What admission tells the connection of a request: its caller, and how to treat it.

The server limits the connections of each caller and the time of a body, but only admission knows
the caller, its rate and the operation. The server therefore offers an ASGI extension with each
request.
"""

from collections.abc import Callable
from typing import TypeAlias

from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

from quorate.contracts.problems import Problem
from quorate.domain.identity.principals import Principal
from quorate.runtime.asgi import Scope

EXTENSION = "quorate.connection"
CLAIM = "claim"
PROLONG = "prolong"
SLOW_DOWN = "slow_down"
RETRY_AFTER_SECONDS = 1
# Takes the actor and its tenant; returns False if the actor has too many connections.
Claim: TypeAlias = Callable[[str, str], bool]
# Takes the seconds that the current body may take in addition.
Prolong: TypeAlias = Callable[[float], None]
# Delays the next request of the connection.
SlowDown: TypeAlias = Callable[[], None]


def offer_extension(
    cycle: RequestResponseCycle, claim: Claim, prolong: Prolong, slow_down: SlowDown
) -> None:
    """Offer the extension for one request, after those of ``response_writer``."""
    cycle.scope["extensions"][EXTENSION] = {
        CLAIM: claim,
        PROLONG: prolong,
        SLOW_DOWN: slow_down,
    }


def slow_down(scope: Scope) -> None:
    """Delay the next request of the connection: a rejection costs about as much as a response."""
    offered = scope.get("extensions", {}).get(EXTENSION)
    if offered is not None:
        offered[SLOW_DOWN]()


def prolong_body(scope: Scope, seconds: float) -> None:
    """Give the body of this request more time, if the server limits it."""
    offered = scope.get("extensions", {}).get(EXTENSION)
    if offered is not None:
        offered[PROLONG](seconds)


def claim_connection(scope: Scope, principal: Principal) -> None:
    """Count the connection for the caller; raise Problem if the caller has too many."""
    offered = scope.get("extensions", {}).get(EXTENSION)
    if offered is not None and not offered[CLAIM](principal.actor, principal.tenant):
        raise Problem(
            "rate_limited",
            "This agent or key has too many open connections.",
            headers={"Retry-After": str(RETRY_AFTER_SECONDS)},
            limitedBy="connections",
            retryAfterSeconds=float(RETRY_AFTER_SECONDS),
        )
