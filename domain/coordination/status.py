"""Compute the status of a lease or a proposal at a time, before or after it is recorded."""

from quorate.domain.coordination import consensus, leases
from quorate.domain.coordination.consensus import ConsensusRequest
from quorate.domain.coordination.leases import Lease
from quorate.domain.identity.agents import Agent
from quorate.domain.shared.timestamps import Timestamp


def lease_status(lease: Lease, holder: Agent | None, now: Timestamp) -> leases.Status:
    """Return the status of a lease; ``holder`` is None if its name was removed."""
    if lease.status != "active":
        return lease.status
    if holder is None:
        return "expired"  # A holder leaves only leases that have expired.
    if now >= lease.expires_at and lease.expires_at <= holder.active_until:
        return "expired"
    if holder.is_overdue(now):
        return "revoked"
    return "expired" if now >= lease.expires_at else "active"


def request_status(request: ConsensusRequest, now: Timestamp) -> consensus.Status:
    return "expired" if consensus.is_overdue(request, now) else request.status
