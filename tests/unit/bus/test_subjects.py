"""The table of subjects: who may publish and subscribe, and what a subject may contain."""

import itertools
from collections.abc import Callable
from string import Formatter

import pytest

from quorate.bus import subjects
from quorate.bus.subjects import (
    COMMANDS,
    FAMILIES,
    INBOX,
    Family,
    SubjectInvalid,
    parse_command_subject,
    permissions,
)
from quorate.domain.identity.principals import ROLES, Principal, Role
from quorate.domain.identity.tenants import TENANT_ID
from quorate.domain.registry import EVENT_TYPES
from tests.integration.bus.stage import ANN, BOB, EVE, OTHER_TENANT, TENANT

PRINCIPALS = [
    Principal(key_id="annannannannann1", role="agent", tenant=TENANT, agent_id=ANN),
    Principal(key_id="bobbobbobbobbob1", role="agent", tenant=TENANT, agent_id=BOB),
    Principal(key_id="eveeveeveeveeve1", role="agent", tenant=OTHER_TENANT, agent_id=EVE),
    Principal(key_id="tenanttenanttena", role="tenant", tenant=TENANT),
    Principal(key_id="othertenantother", role="tenant", tenant=OTHER_TENANT),
    Principal(key_id="auditorauditoraa", role="auditor", tenant=TENANT),
]


def matches(pattern: str, subject: str) -> bool:
    """Match like NATS: ``*`` is one token, ``>`` is one or more tokens at the end."""
    wanted, given = pattern.split("."), subject.split(".")
    for index, token in enumerate(wanted):
        if token == ">":
            return len(given) > index
        if index >= len(given) or token not in ("*", given[index]):
            return False
    return len(given) == len(wanted)


def subject_for(family: Family, owner: Principal) -> str:
    """Build a subject of this family for this owner from the template."""
    values = {
        "tenant": owner.tenant,
        "agent_id": owner.agent_id or ANN,
        "reader": owner.agent_id or owner.key_id,
        "name": "x",
    }
    assert {name for _, name, _, _ in Formatter().parse(family.template) if name} <= set(values)
    return family.template.format(**values)


def is_meant_for(family: Family, owner: Principal, reader: Principal) -> bool:
    """Return the expected permission: own tenant, roles of the table, agents own subjects only."""
    if reader.tenant != owner.tenant or reader.role not in family.subscribed_by:
        return False
    if family is INBOX:
        return reader == owner
    if "{agent_id}" in family.template and reader.role == "agent":
        return reader.agent_id == (owner.agent_id or ANN)
    return True


def may_publish(principal: Principal, subject: str) -> bool:
    """Decide like NATS: an empty allow list means all, and a denial has precedence."""
    allowed = permissions(principal)
    assert allowed is not None
    if any(matches(pattern, subject) for pattern in allowed.publish_deny):
        return False
    return not allowed.publish_allow or any(matches(p, subject) for p in allowed.publish_allow)


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.template)
@pytest.mark.parametrize("reader", PRINCIPALS, ids=lambda principal: principal.key_id)
@pytest.mark.parametrize("owner", PRINCIPALS, ids=lambda principal: principal.key_id)
def test_key_may_subscribe_to_its_subjects_only(
    family: Family, reader: Principal, owner: Principal
) -> None:
    allowed = permissions(reader)
    assert allowed is not None

    heard = any(matches(p, subject_for(family, owner)) for p in allowed.subscribe_allow)

    assert heard == is_meant_for(family, owner, reader)


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.template)
@pytest.mark.parametrize("speaker", PRINCIPALS, ids=lambda principal: principal.key_id)
@pytest.mark.parametrize("owner", PRINCIPALS, ids=lambda principal: principal.key_id)
def test_agents_may_publish_their_own_commands_only(
    family: Family, speaker: Principal, owner: Principal
) -> None:
    agents_own = (owner.tenant, owner.agent_id or ANN)
    own_commands = family is COMMANDS and (speaker.tenant, speaker.agent_id) == agents_own

    assert may_publish(speaker, subject_for(family, owner)) == own_commands


@pytest.mark.parametrize("key", PRINCIPALS, ids=lambda principal: principal.key_id)
def test_no_key_reaches_jetstream_or_the_server(key: Principal) -> None:
    allowed = permissions(key)
    assert allowed is not None
    for subject in ("$JS.API.STREAM.INFO.QUORATE_LOG", "$SYS.REQ.USER.AUTH", "_INBOX.x.y", "x"):
        assert not may_publish(key, subject)
        assert not any(matches(pattern, subject) for pattern in allowed.subscribe_allow)


def test_no_key_may_subscribe_to_commands() -> None:
    assert COMMANDS.subscribed_by == frozenset()


@pytest.mark.parametrize(
    "reply",
    [
        "",
        f"_INBOX_{TENANT}_{BOB}.x",
        f"_INBOX_{TENANT}_{ANN}",
        f"_INBOX_{TENANT}_{ANN}.",
        f"_INBOX_{TENANT}_{ANN}x.y",
        f"_INBOX_{OTHER_TENANT}_{ANN}.x",
        f"quorate.{TENANT}.agent.{ANN}.lease_conflict",
        f"quorate.{TENANT}.all.x",
        f"$JS.API.STREAM.DELETE.{TENANT}",
        "_INBOX.x.y",
    ],
)
def test_response_inbox_belongs_to_its_agent(reply: str) -> None:
    ann = parse_command_subject(subjects.command(TENANT, ANN, "heartbeat"))

    assert (ann.tenant, ann.agent_id, ann.operation) == (TENANT, ANN, "heartbeat")
    assert ann.owns_inbox(f"_INBOX_{TENANT}_{ANN}.x.y")
    assert not ann.owns_inbox(reply)


@pytest.mark.parametrize("role", ["admin", "mail"])
def test_keys_of_admins_and_mail_servers_have_no_permissions(role: Role) -> None:
    assert permissions(Principal(key_id="adminadminadmina", role=role, tenant=TENANT)) is None


def test_other_keys_may_subscribe() -> None:
    others = {role for family in FAMILIES for role in family.subscribed_by}
    assert others == set(ROLES) - {"admin", "mail"}


@pytest.mark.parametrize(
    "token", ["", "*", ">", "a.b", "a b", "a\r\nPUB x", "\0", "é", "a" * 65, "~", "$JS"]
)
def test_user_input_is_rejected_in_subjects(token: str) -> None:
    builders: list[Callable[[], object]] = [
        lambda: subjects.to_agent(token, ANN, "lease_conflict"),
        lambda: subjects.to_agent(TENANT, token, "lease_conflict"),
        lambda: subjects.to_agent(TENANT, ANN, token),
        lambda: subjects.to_all(token, "agent_lapsed"),
        lambda: subjects.to_all(TENANT, token),
        lambda: subjects.log(token, "LeaseAcquired"),
        lambda: subjects.log(TENANT, token),
        lambda: subjects.command(TENANT, token, "heartbeat"),
        lambda: subjects.command(TENANT, ANN, token),
        lambda: permissions(Principal(key_id="k", role="auditor", tenant=token)),
        lambda: permissions(Principal(key_id=token, role="auditor", tenant=TENANT)),
        lambda: permissions(Principal(key_id="k", role="agent", tenant=TENANT, agent_id=token)),
    ]
    for build in builders[1 if TENANT_ID.fullmatch(token) else 0 :]:
        with pytest.raises(SubjectInvalid):
            build()


def test_agent_key_without_an_agent_has_no_permissions() -> None:
    with pytest.raises(SubjectInvalid):
        permissions(Principal(key_id="k", role="agent", tenant=TENANT))


def test_every_event_has_a_subject_in_the_stream() -> None:
    for type_ in EVENT_TYPES:
        assert matches(subjects.LOG_OF_ALL_TENANTS, subjects.log(TENANT, type_))
    assert matches(subjects.LOG_OF_ALL_TENANTS, subjects.LOG_OMITTED)


def test_row_without_a_subject_is_readable_by_no_tenant() -> None:
    assert not TENANT_ID.fullmatch(subjects.LOG_OMITTED.split(".")[1])


def test_inboxes_of_different_readers_never_overlap() -> None:
    crafty = [
        Principal(key_id="k" * 16, role="auditor", tenant=TENANT),
        Principal(key_id="k" * 16, role="auditor", tenant=f"{TENANT}_{ANN}"[:64]),
        Principal(key_id="k" * 16, role="agent", tenant=TENANT, agent_id=ANN),
        Principal(key_id="k" * 16, role="agent", tenant=f"{TENANT}_agent", agent_id=ANN),
        Principal(key_id="k" * 16, role="auditor", tenant=f"{TENANT}_agent"),
    ]
    prefixes = [subjects.inbox_prefix(principal) for principal in crafty]

    assert len(set(prefixes)) == len(prefixes)
    for one, other in itertools.permutations(prefixes, 2):
        assert not matches(f"{one}.>", f"{other}.x")
