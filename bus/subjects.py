"""The table of subjects: what is said where, who may say it, and who may hear it.

* Nothing that a user typed enters a subject: a token is a checked tenant id, an id of our own
  making, or a name from our own code. So a subject has no wildcard and no white space, and is
  far below the 4 KB at which nats-server cuts the connection.
* What a key may subscribe to and publish on is read off this table and nowhere else. An agent may
  publish its own commands, nobody else publishes anything, and nobody at all gets ``$JS.API``:
  its subjects carry no filter by tenant.
* A command's subject names its tenant and its agent, and the server lets only that agent's keys
  publish there. So the subject is the proof of who asks.
* NATS takes an empty list of allowed subjects as "all", so whoever may publish nothing is denied
  everything outright. A denial counts for more than an allowance: it stands alone.
"""

import re
from functools import lru_cache

from quorate.domain.identity.api_keys import Principal, Role
from quorate.domain.shared.records import record

ROOT = "quorate"
ANY = "*"
REST = ">"

_TENANT = re.compile(r"[A-Za-z0-9_-]{1,64}")
_AGENT_ID = re.compile(r"agent_[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_KEY_ID = re.compile(r"[A-Za-z0-9-]{1,64}")
_NOTIFICATION = re.compile(r"[a-z_]{1,64}")
_EVENT_TYPE = re.compile(r"[A-Z][A-Za-z0-9]{0,63}")
_OPERATION = re.compile(r"[a-z][A-Za-z0-9]{0,63}")
SUBJECTS_CACHED_MAX = 16_384


class SubjectInvalid(ValueError):
    """A token that must not enter a subject."""


# -- The table ---------------------------------------------------------------


@record
class Family:
    """Subjects of one shape; a key's own agent id stands for ``{agent_id}``, any for other keys."""

    template: str
    subscribed_by: frozenset[Role] = frozenset()
    published_by: frozenset[Role] = frozenset()


TO_AGENT = Family(
    template=ROOT + ".{tenant}.agent.{agent_id}.{name}",
    subscribed_by=frozenset({"agent", "tenant"}),
)
TO_ALL = Family(
    template=ROOT + ".{tenant}.all.{name}",
    subscribed_by=frozenset({"agent", "tenant", "auditor"}),
)
LOG = Family(
    template=ROOT + ".{tenant}.log.{name}",
    subscribed_by=frozenset({"tenant", "auditor"}),
)
INBOX = Family(
    template="_INBOX_{tenant}_{reader}.{name}",
    subscribed_by=frozenset({"agent", "tenant", "auditor"}),
)
COMMANDS = Family(
    template=ROOT + ".{tenant}.cmd.{agent_id}.{name}",
    published_by=frozenset({"agent"}),
)
FAMILIES = (TO_AGENT, TO_ALL, LOG, INBOX, COMMANDS)

COMMANDS_OF_ALL_TENANTS = COMMANDS.template.format(tenant=ANY, agent_id=ANY, name=REST)

LOG_OF_ALL_TENANTS = LOG.template.format(tenant=ANY, name=REST)
# For a row whose own subject cannot be built; no tenant id has this form, so no key reads it.
LOG_OMITTED = LOG.template.format(tenant="~", name="Omitted")

# -- Where something is said -------------------------------------------------


@lru_cache(maxsize=SUBJECTS_CACHED_MAX)
def to_agent(tenant: str, agent_id: str, notification: str) -> str:
    return TO_AGENT.template.format(
        tenant=_checked(_TENANT, tenant),
        agent_id=_checked(_AGENT_ID, agent_id),
        name=_checked(_NOTIFICATION, notification),
    )


@lru_cache(maxsize=SUBJECTS_CACHED_MAX)
def to_all(tenant: str, notification: str) -> str:
    return TO_ALL.template.format(
        tenant=_checked(_TENANT, tenant), name=_checked(_NOTIFICATION, notification)
    )


@lru_cache(maxsize=SUBJECTS_CACHED_MAX)
def log(tenant: str, event_type: str) -> str:
    return LOG.template.format(
        tenant=_checked(_TENANT, tenant), name=_checked(_EVENT_TYPE, event_type)
    )


def command(tenant: str, agent_id: str, operation: str) -> str:
    """Where an agent asks for an operation, by its name in the table of endpoints."""
    return COMMANDS.template.format(
        tenant=_checked(_TENANT, tenant),
        agent_id=_checked(_AGENT_ID, agent_id),
        name=_checked(_OPERATION, operation),
    )


def inbox_prefix(principal: Principal) -> str:
    """The prefix under which this key's answers arrive; no other key can subscribe to it."""
    return _filter(INBOX, principal).removesuffix(f".{REST}")


# -- What is said on a command's subject -------------------------------------


@record
class CommandSubject:
    """Who asks for what. ``operation`` is as it was sent: it may be none of ours."""

    tenant: str
    agent_id: str
    operation: str

    def owns_inbox(self, reply: str) -> bool:
        """Whether an answer sent there reaches this agent and nobody else.

        The server does not check it: an agent may name any subject as the one to answer on.
        """
        own = INBOX.template.format(tenant=self.tenant, reader=self.agent_id, name="")
        return reply.startswith(own) and len(reply) > len(own)


def parse_command_subject(subject: str) -> CommandSubject:
    """The tokens of a subject of ``COMMANDS``, on which the server delivered a message."""
    _, tenant, _, agent_id, operation = subject.split(".", 4)
    return CommandSubject(tenant=tenant, agent_id=agent_id, operation=operation)


# -- Who may say and hear it -------------------------------------------------


@record
class Permissions:
    publish_allow: tuple[str, ...]
    publish_deny: tuple[str, ...]
    subscribe_allow: tuple[str, ...]
    subscribe_deny: tuple[str, ...]


def permissions(principal: Principal) -> Permissions | None:
    """What a key may do on NATS; None for a key that has no business there."""
    readable = tuple(
        _filter(family, principal) for family in FAMILIES if principal.role in family.subscribed_by
    )
    if not readable:
        return None
    sayable = tuple(
        _filter(family, principal) for family in FAMILIES if principal.role in family.published_by
    )
    return Permissions(
        publish_allow=sayable,
        publish_deny=() if sayable else (REST,),
        subscribe_allow=readable,
        subscribe_deny=(),
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
