"""Which roles may do what: named once, used by the table of endpoints."""

from quorate.domain.identity.api_keys import ROLES, Role

ACTING: frozenset[Role] = frozenset({"tenant", "agent"})
READING: frozenset[Role] = frozenset({"tenant", "agent", "auditor"})
AUDITING: frozenset[Role] = frozenset({"tenant", "auditor"})
ISSUING: frozenset[Role] = frozenset({"admin", "tenant"})
ANYBODY: frozenset[Role] = frozenset(ROLES)
OPERATING: frozenset[Role] = frozenset({"admin"})
