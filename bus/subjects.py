"""The table of subjects: what is said where, and who may hear it.

* Nothing that a user typed enters a subject: a token is a checked tenant id, an id of our own
  making, or a name from our own code. So a subject has no wildcard and no white space, and is
  far below the 4 KB at which nats-server cuts the connection.
* What a key may subscribe to is read off this table and nowhere else. Nobody but the service
  may publish, and nobody at all gets ``$JS.API``: its subjects carry no filter by tenant.
* NATS takes an empty list of allowed subjects as "all", so publishing is denied outright.
"""

import re
from functools import lru_cache

from quorate.domain.keys import Principal, Role
from quorate.domain.record import record

ROOT = "quorate"
ANY = "*"
REST = ">"

_TENANT = re.compile(r"[A-Za-z0-9_-]{1,64}")
_AGENT_ID = re.compile(r"agent_[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_KEY_ID = re.compile(r"[A-Za-z0-9-]{1,64}")
_NOTICE = re.compile(r"[a-z_]{1,64}")
_EVENT_TYPE = re.compile(r"[A-Z][A-Za-z0-9]{0,63}")
SUBJECTS_CACHED_MAX = 16_384


class SubjectInvalid(ValueError):
    """A token that must not enter a subject."""


# -- The table ---------------------------------------------------------------


@record
class Family:
    """Subjects of one shape; a key's own agent id stands for ``{agent_id}``, any for other keys."""

    template: str
    read_by: frozenset[Role]


TO_AGENT = Family(
    template=ROOT + ".{tenant}.agent.{agent_id}.{name}",
    read_by=frozenset({"agent", "tenant"}),
)
TO_ALL = Family(
    template=ROOT + ".{tenant}.all.{name}",
    read_by=frozenset({"agent", "tenant", "auditor"}),
)
LOG = Family(
    template=ROOT + ".{tenant}.log.{name}",
    read_by=frozenset({"tenant", "auditor"}),
)
INBOX = Family(
    template="_INBOX_{tenant}_{reader}.{name}",
    read_by=frozenset({"agent", "tenant", "auditor"}),
)
FAMILIES = (TO_AGENT, TO_ALL, LOG, INBOX)

LOG_OF_ALL_TENANTS = LOG.template.format(tenant=ANY, name=REST)
# For a row whose own subject cannot be built; no tenant id has this form, so no key reads it.
LOG_OMITTED = LOG.template.format(tenant="~", name="Omitted")

# -- Where something is said -------------------------------------------------


@lru_cache(maxsize=SUBJECTS_CACHED_MAX)
def to_agent(tenant: str, agent_id: str, notice: str) -> str:
    return TO_AGENT.template.format(
        tenant=_checked(_TENANT, tenant),
        agent_id=_checked(_AGENT_ID, agent_id),
        name=_checked(_NOTICE, notice),
    )


@lru_cache(maxsize=SUBJECTS_CACHED_MAX)
def to_all(tenant: str, notice: str) -> str:
    return TO_ALL.template.format(tenant=_checked(_TENANT, tenant), name=_checked(_NOTICE, notice))


@lru_cache(maxsize=SUBJECTS_CACHED_MAX)
def log(tenant: str, event_type: str) -> str:
    return LOG.template.format(
        tenant=_checked(_TENANT, tenant), name=_checked(_EVENT_TYPE, event_type)
    )


def inbox_prefix(principal: Principal) -> str:
    """The prefix under which this key's answers arrive; no other key can subscribe to it."""
    return _filter(INBOX, principal).removesuffix(f".{REST}")


# -- Who may hear it ---------------------------------------------------------


@record
class Permissions:
    publish_allow: tuple[str, ...]
    publish_deny: tuple[str, ...]
    subscribe_allow: tuple[str, ...]
    subscribe_deny: tuple[str, ...]


def permissions(principal: Principal) -> Permissions | None:
    """What a key may do on NATS; None for a key that has no business there."""
    readable = tuple(
        _filter(family, principal) for family in FAMILIES if principal.role in family.read_by
    )
    if not readable:
        return None
    return Permissions(
        publish_allow=(), publish_deny=(REST,), subscribe_allow=readable, subscribe_deny=()
    )


def _filter(family: Family, principal: Principal) -> str:
    agent_id = ANY
    if principal.role == "agent":
        agent_id = _checked(_AGENT_ID, principal.agent_id or "")
    return family.template.format(
        tenant=_checked(_TENANT, principal.tenant),
        agent_id=agent_id,
        reader=agent_id if principal.role == "agent" else _checked(_KEY_ID, principal.key_id),
        name=REST,
    )


def _checked(form: re.Pattern[str], token: str) -> str:
    if not form.fullmatch(token):
        raise SubjectInvalid(f"not fit for a subject: {token[:80]!r}")
    return token
