"""Sets of roles that the operation registry uses to declare who may call an operation."""

from quorate.domain.identity.principals import ROLES, Role

CAN_ACT: frozenset[Role] = frozenset({"tenant", "agent"})
CAN_READ: frozenset[Role] = frozenset({"tenant", "agent", "auditor"})
CAN_REMOVE_AGENTS: frozenset[Role] = frozenset({"tenant"})
CAN_AUDIT: frozenset[Role] = frozenset({"tenant", "auditor"})
CAN_DELIVER_MAIL: frozenset[Role] = frozenset({"mail"})
CAN_ISSUE_KEYS: frozenset[Role] = frozenset({"admin", "tenant"})
CAN_OPERATE: frozenset[Role] = frozenset({"admin", "tenant"})
ALL_ROLES: frozenset[Role] = frozenset(ROLES)
ADMIN_ONLY: frozenset[Role] = frozenset({"admin"})
