"""What a batch of commands reads: the keys of its lookups, and its idempotency keys."""

from collections.abc import Sequence

from quorate.domain.shared.aggregates import Reads
from quorate.domain.shared.daily_quotas import USAGE, WHOLE_TENANT, is_agent
from quorate.eventlog.envelopes import CommandEnvelope
from quorate.eventlog.state_store import ReadKeys
from quorate.eventlog.unit_of_work import Scope, scope_of


def read_keys(envelopes: Sequence[CommandEnvelope], reads: Sequence[Reads]) -> ReadKeys:
    """Return what the commands of a batch read, by the name of the lookup; each key once.

    All read what their tenant and their agent have added today, for the daily quotas.
    """
    found: dict[str, dict[tuple[str, ...], None]] = {}
    for envelope, its_reads in zip(envelopes, reads, strict=True):
        tenant = envelope.tenant
        for read in its_reads:
            keys = found.get(read[0])
            if keys is None:
                keys = found[read[0]] = {}
            keys[tenant, *read[1:]] = None
    usage = found[USAGE] = dict[tuple[str, ...], None]()
    for envelope in envelopes:
        usage[envelope.tenant, WHOLE_TENANT] = None
        if is_agent(envelope.actor):
            usage[envelope.tenant, envelope.actor] = None
    return found


def scopes(envelopes: Sequence[CommandEnvelope]) -> list[Scope]:
    """Return the scopes of their idempotency keys."""
    return [scope_of(one.tenant, one.idempotency) for one in envelopes if one.idempotency]
