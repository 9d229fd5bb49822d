"""The table of NATS subjects, and the permissions that follow from it.

Guarantees:

* No user input enters a subject. A token is a checked tenant id, a generated id or a fixed name.
  A subject therefore has no wildcard and no white space, and is far below the 4 KB at which
  nats-server closes the connection.
* This table alone decides what a key may subscribe to and publish on. An agent key may publish the
  agent's own commands; no other key may publish. No key gets ``$JS.API``, because its subjects have
  no filter by tenant.
* A command's subject contains its tenant and its agent, and the server lets only that agent's keys
  publish there. The subject therefore authenticates the sender.
* NATS treats an empty list of allowed subjects as "all". A key without publish permission gets an
  explicit denial of everything, which has precedence over any allowance.
"""

import re
from functools import lru_cache

from quorate.domain.identity.principals import Principal, Role
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
    """A token is not allowed in a subject."""


# -- The table ---------------------------------------------------------------


@record
class Family:
    """Subjects of one form, and the roles that may use them.

    For an agent key ``{agent_id}`` is the agent's own id; for other keys it is a wildcard.
    """

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
# For a row whose subject cannot be built; no tenant id has this form, so no key can subscribe.
LOG_OMITTED = LOG.template.format(tenant="~", name="Omitted")

# -- Building subjects -------------------------------------------------------


@lru_cache(maxsize=SUBJECTS_CACHED_MAX)
def to_agent(tenant: str, agent_id: str, notification: str) -> str:
    return TO_AGENT.template.format(
        tenant=_validate(_TENANT, tenant),
        agent_id=_validate(_AGENT_ID, agent_id),
        name=_validate(_NOTIFICATION, notification),
    )


@lru_cache(maxsize=SUBJECTS_CACHED_MAX)
def to_all(tenant: str, notification: str) -> str:
    return TO_ALL.template.format(
        tenant=_validate(_TENANT, tenant), name=_validate(_NOTIFICATION, notification)
    )


@lru_cache(maxsize=SUBJECTS_CACHED_MAX)
def log(tenant: str, event_type: str) -> str:
    return LOG.template.format(
        tenant=_validate(_TENANT, tenant), name=_validate(_EVENT_TYPE, event_type)
    )


def command(tenant: str, agent_id: str, operation: str) -> str:
    """Return the subject of an agent's command; ``operation`` is a name of the operation table."""
    return COMMANDS.template.format(
        tenant=_validate(_TENANT, tenant),
        agent_id=_validate(_AGENT_ID, agent_id),
        name=_validate(_OPERATION, operation),
    )


def inbox_prefix(principal: Principal) -> str:
    """Return the prefix of the key's response subjects; no other key can subscribe to it."""
    return _filter(INBOX, principal).removesuffix(f".{REST}")


# -- Reading subjects of commands --------------------------------------------


@record
class CommandSubject:
    """The sender and the operation of a command; ``operation`` may be unknown to the service."""

    tenant: str
    agent_id: str
    operation: str

    def owns_inbox(self, reply: str) -> bool:
        """Return whether a response to ``reply`` reaches this agent and no other client.

        The server does not check this: an agent may send any reply subject.
        """
        own = INBOX.template.format(tenant=self.tenant, reader=self.agent_id, name="")
        return reply.startswith(own) and len(reply) > len(own)


def parse_command_subject(subject: str) -> CommandSubject:
    """Split a subject of ``COMMANDS`` on which the server delivered a message."""
    _, tenant, _, agent_id, operation = subject.split(".", 4)
    return CommandSubject(tenant=tenant, agent_id=agent_id, operation=operation)


# -- Permissions -------------------------------------------------------------


@record
class Permissions:
    publish_allow: tuple[str, ...]
    publish_deny: tuple[str, ...]
    subscribe_allow: tuple[str, ...]
    subscribe_deny: tuple[str, ...]


def permissions(principal: Principal) -> Permissions | None:
    """Return what a key may do on NATS; None for a role without any subject."""
    readable = tuple(
        _filter(family, principal) for family in FAMILIES if principal.role in family.subscribed_by
    )
    if not readable:
        return None
    publishable = tuple(
        _filter(family, principal) for family in FAMILIES if principal.role in family.published_by
    )
    return Permissions(
        publish_allow=publishable,
        publish_deny=() if publishable else (REST,),
        subscribe_allow=readable,
        subscribe_deny=(),
    )


def _filter(family: Family, principal: Principal) -> str:
    agent_id = ANY
    if principal.role == "agent":
        agent_id = _validate(_AGENT_ID, principal.agent_id or "")
    return family.template.format(
        tenant=_validate(_TENANT, principal.tenant),
        agent_id=agent_id,
        reader=agent_id if principal.role == "agent" else _validate(_KEY_ID, principal.key_id),
        name=REST,
    )


def _validate(form: re.Pattern[str], token: str) -> str:
    if not form.fullmatch(token):
        raise SubjectInvalid(f"Not allowed in a subject: {token[:80]!r}")
    return token
