"""Reject a lease whose response arrives after its end. No I/O.

The service judges a grant when it responds. The response, and its retries, can take longer than the
lease lasts.
"""

from typing import Any

from quorate.client.errors import LeaseLostError
from quorate.client.lease_validity import SECONDS_PER_MINUTE, valid_until
from quorate.client.request_builder import Request
from quorate.client.serialization import Response
from quorate.contracts.coordination.leases import ACQUIRE_LEASE, RENEW_LEASE, LeaseInfo
from quorate.domain.coordination.leases import DURATION_MINUTES_DEFAULT

_GRANTING = {ACQUIRE_LEASE.name, RENEW_LEASE.name}


def require_valid(request: Request[Any], response: Response[Any], now: float) -> None:
    """Raise LeaseLostError if a response grants a lease that may have ended before it arrived."""
    if request.name not in _GRANTING:
        return
    minutes = request.message.get("durationMinutes", DURATION_MINUTES_DEFAULT)
    if now >= valid_until(response.sent_at, minutes * SECONDS_PER_MINUTE):
        lease: LeaseInfo = response.result
        raise LeaseLostError("unreachable", lease.id, lease.contact_email, lease.fence)
