"""What one tenant is told over NATS, no key of another can hear, ask for, or forge.

Subjects are read off the service's own table (``bus/subjects.py``): a new family is tried too.
"""

from collections.abc import Iterator, Sequence
from uuid import uuid4

import pytest
from nats.errors import Error as NatsError

from quorate.bus.outbox.jetstream_stream import STREAM
from quorate.bus.subjects import COMMANDS, FAMILIES, inbox_prefix
from quorate.domain.identity.api_keys import Role
from tests.e2e.service.http_clients import Operator, Tenant
from tests.e2e.service.nats_listener import Listener, wait_until
from tests.e2e.service.two_tenants import TenantData, create_tenant_data

WINDOW_SECONDS = 2.0
SERVE = ("--heartbeat-window-seconds", str(WINDOW_SECONDS))
ROLES: tuple[Role, ...] = ("tenant", "agent", "auditor")
VIOLATION = "permissions violation for {} to"
WILD = ("*", ">")
EVERYBODYS = (
    *(">", "*", "*.>", "*.*.>", "quorate.>", "quorate.*.>", "quorate.*.all.>", "quorate.*.log.>"),
    *("quorate.*.agent.>", "_INBOX.>", "$SYS.>", "$JS.>", "$KV.>", "$SYS.ACCOUNT.*.CONNECT"),
)
SERVERS = (
    *(f"$JS.API.STREAM.{verb}.{STREAM}" for verb in ("INFO", "DELETE", "PURGE", "MSG.GET")),
    *(f"$JS.API.{rest}" for rest in ("INFO", "ACCOUNT.PURGE.QUORATE", "STREAM.NAMES")),
    *(f"$JS.API.CONSUMER.{verb}.{STREAM}" for verb in ("CREATE", "LIST", "NAMES")),
    *(f"$JS.API.CONSUMER.CREATE.{STREAM}.mine", f"$JS.API.DIRECT.GET.{STREAM}"),
    *("$SYS.REQ.USER.AUTH", "$SYS.REQ.SERVER.PING.CONNZ", "$JS.ACK.x", "anything"),
)
NOTIFICATIONS = ("lease_conflict", "lease_revoked", "agent_lapsed", "consensus_requested")


def subjects(side: TenantData) -> Iterator[str]:
    """Every subject of a tenant, and every way to ask for many of them at once."""
    readers = (side.agent.id, side.agent.issued.id, side.tenant.issued.id, side.auditor.issued.id)
    for family in FAMILIES:
        takes_reader, takes_agent = "{reader}" in family.template, "{agent_id}" in family.template
        for reader in readers if takes_reader else ("",):
            for agent_id in (side.agent.id, "*") if takes_agent else ("",):
                for name in ("lease_conflict", "LeaseConflicted", *WILD):
                    yield family.template.format(
                        tenant=side.tenant.id, reader=reader, agent_id=agent_id, name=name
                    )


def is_own_command(subject: str, side: TenantData, role: Role) -> bool:
    own = COMMANDS.template.format(tenant=side.tenant.id, agent_id=side.agent.id, name="")
    return role == "agent" and subject.startswith(own)


def in_parts(names: Sequence[str], size: int = 40) -> Iterator[Sequence[str]]:
    """A connection may hold so many subscriptions and no more."""
    for first in range(0, len(names), size):
        yield names[first : first + size]


async def refused(listener: Listener, verb: str, count: int) -> None:
    await wait_until(lambda: len(listener.errors) >= count)
    expected = VIOLATION.format(verb)
    assert [error for error in listener.errors if expected not in error] == []
    assert len(listener.errors) == count


async def commotion(side: TenantData) -> None:
    """Something of every kind happens in a tenant."""
    rival = await side.tenant.create_agent("rival")
    await side.agent.heartbeat(side.agent.id)
    await side.agent.lease(side.agent.id, "wanted@example.com")
    await rival.acquire(rival.id, "wanted@example.com")
    await rival.request_send(rival.id, "wanted@example.com")
    request = await rival.propose(rival.id)
    await rival.vote(request["id"], rival.id, "approve")


@pytest.fixture
async def ours(operator: Operator) -> TenantData:
    return await create_tenant_data(operator)


@pytest.fixture
async def theirs(operator: Operator) -> TenantData:
    return await create_tenant_data(operator)


@pytest.mark.parametrize("role", ROLES)
async def test_subscription_to_another_tenants_subject_is_denied(
    ours: TenantData, theirs: TenantData, role: Role
) -> None:
    wanted = list(subjects(theirs))
    witness = await theirs.tenant.listen(
        *(f"quorate.{theirs.tenant.id}.{rest}" for rest in ("agent.*.>", "all.>", "log.>"))
    )
    listeners = []
    for part in in_parts(wanted):
        listener = await ours.tenant.operator.listen(ours.key_of(role), *part)
        await refused(listener, "subscription", len(part))
        listeners.append(listener)

    await commotion(theirs)

    await wait_until(lambda: set(NOTIFICATIONS) <= set(witness.names()))
    for listener in listeners:
        await listener.client.flush()
        assert listener.messages == []


@pytest.mark.parametrize("role", ROLES)
async def test_wildcard_subscription_is_denied(
    ours: TenantData, theirs: TenantData, role: Role
) -> None:
    witness = await theirs.tenant.listen(f"quorate.{theirs.tenant.id}.log.>")
    listener = await ours.tenant.operator.listen(ours.key_of(role), *EVERYBODYS)
    await refused(listener, "subscription", len(EVERYBODYS))

    await commotion(theirs)

    await wait_until(lambda: "LeaseConflicted" in witness.names())
    await listener.client.flush()
    assert listener.messages == []


@pytest.mark.parametrize("role", ROLES)
async def test_publishing_on_foreign_subjects_is_denied(
    ours: TenantData, theirs: TenantData, role: Role
) -> None:
    witnesses = [
        await side.tenant.listen(
            *(f"quorate.{side.tenant.id}.{rest}" for rest in ("agent.*.>", "all.>")),
            f"{inbox_prefix(side.tenant.issued.principal)}.>",
        )
        for side in (ours, theirs)
    ]
    forged = [one for side in (ours, theirs) for one in subjects(side) if one[-1] not in WILD]
    forged = [subject for subject in forged if "*" not in subject] + list(SERVERS)
    forged = [subject for subject in forged if not is_own_command(subject, ours, role)]
    listener = await ours.tenant.operator.listen(ours.key_of(role))

    for subject in forged:
        await listener.client.publish(subject, b'{"forged": true}')
    await listener.client.flush()

    await refused(listener, "publish", len(forged))
    for witness in witnesses:
        await witness.client.flush()
        assert not any(b"forged" in message.data for message in witness.messages)


@pytest.mark.parametrize("role", ROLES)
async def test_server_and_stream_apis_are_denied(ours: TenantData, role: Role) -> None:
    listener = await ours.tenant.operator.listen(ours.key_of(role))

    for subject in SERVERS[:4]:
        with pytest.raises(NatsError):
            await listener.client.request(subject, b"{}", timeout=0.2)

    assert listener.messages == []


async def test_admin_key_cannot_connect_to_nats(operator: Operator) -> None:
    with pytest.raises(NatsError, match="Authorization Violation"):
        await Listener.connected(operator.service.nats_url, str(operator.key))


async def test_agent_receives_no_messages_of_another_agent(tenant: Tenant) -> None:
    ann, bob = await tenant.create_agents("ann", "bob")
    wanted = (
        f"quorate.{tenant.id}.agent.{bob.id}.>",
        f"quorate.{tenant.id}.agent.*.>",
        f"quorate.{tenant.id}.log.>",
        f"{inbox_prefix(bob.issued.principal)}.>",
    )

    listener = await ann.listen(*wanted)

    await refused(listener, "subscription", len(wanted))


async def test_agent_name_like_a_tenant_gives_no_access(operator: Operator, tenant: Tenant) -> None:
    """``x`` and ``x-y``, ``x_y``: no tenant's subjects or inboxes begin with another's."""
    name = f"t{uuid4().hex[:8]}"  # The letter, because digits alone have no upper case.
    for tenant_id in (name, f"{name}_{tenant.id}", f"{name}-{tenant.id}", name.upper()):
        near = await operator.create_tenant(tenant_id)
        far = f"{name}_x"
        wanted = (f"quorate.{far}.all.>", f"_INBOX_{far}_{near.issued.id}.>", f"_INBOX_{far}.>")

        listener = await near.listen(*wanted)

        await refused(listener, "subscription", len(wanted))


async def test_same_contact_in_two_tenants_publishes_no_conflict(
    ours: TenantData, theirs: TenantData
) -> None:
    listeners = [await side.agent.subscribe_to_all() for side in (ours, theirs)]
    contact = "shared@example.com"

    leases = [await side.agent.lease(side.agent.id, contact) for side in (ours, theirs)]

    assert len({lease["id"] for lease in leases}) == 2
    for side, lease in zip((ours, theirs), leases, strict=True):
        held = await side.tenant.leases(contactEmail=contact)
        assert [one["id"] for one in held] == [lease["id"]]
        assert await side.tenant.events("LeaseConflicted") == []
        sent = await side.agent.request_send(side.agent.id, contact, fence=lease["fence"])
        assert sent["status"] == "authorized"
    rival = await theirs.tenant.create_agent("rival")
    await rival.acquire(rival.id, contact)
    await listeners[1].notification("lease_conflict")
    await listeners[0].client.flush()
    assert listeners[0].notifications("lease_conflict") == []
