"""How many votes a pending proposal needs now, for readers. Decisions count for themselves."""

from quorate.domain.coordination.consensus import ConsensusRequest


def electorate_size(request: ConsensusRequest, active: int, *, proposer_is_active: bool) -> int:
    """Return the n of the majority rule, as if an agent voted now.

    ``active`` is the number of active agents of the tenant.
    """
    if request.electorate == "snapshot":
        members = request.eligible
    else:
        excludes_one = proposer_is_active and not request.proposer_votes
        members = active - 1 if excludes_one else active
    return max(members, request.minimum)


def votes_needed(size: int) -> int:
    """Return the smallest number of equal votes that decides, of an electorate of this size."""
    return size // 2 + 1
