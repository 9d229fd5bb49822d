"""Keys of another tenant cannot receive, request or forge messages of a tenant over NATS.

The subjects come from ``bus/subjects.py``, so a new family is covered automatically.
"""

from collections.abc import Iterator, Sequence
from uuid import uuid4

import pytest
from nats.errors import Error as NatsError

from quorate.bus.outbox.jetstream_stream import STREAM
from quorate.bus.subjects import COMMANDS, FAMILIES, inbox_prefix
from quorate.domain.identity.principals import Role
from tests.e2e.service.http_clients import Operator, Tenant
from tests.e2e.service.nats_listener import Listener, wait_until
from tests.e2e.service.tenant_data import TenantData, create_tenant_data

TIMEOUT_SECONDS = 2.0
SERVE = ("--heartbeat-window-seconds", str(TIMEOUT_SECONDS))
ROLES: tuple[Role, ...] = ("tenant", "agent", "auditor")
VIOLATION = "permissions violation for {} to"
WILD = ("*", ">")
WILDCARD_SUBJECTS = (
    *(">", "*", "*.>", "*.*.>", "quorate.>", "quorate.*.>", "quorate.*.all.>", "quorate.*.log.>"),
    *("quorate.*.agent.>", "_INBOX.>", "$SYS.>", "$JS.>", "$KV.>", "$SYS.ACCOUNT.*.CONNECT"),
)
SERVER_SUBJECTS = (
    *(f"$JS.API.STREAM.{verb}.{STREAM}" for verb in ("INFO", "DELETE", "PURGE", "MSG.GET")),
    *(f"$JS.API.{rest}" for rest in ("INFO", "ACCOUNT.PURGE.QUORATE", "STREAM.NAMES")),
    *(f"$JS.API.CONSUMER.{verb}.{STREAM}" for verb in ("CREATE", "LIST", "NAMES")),
    *(f"$JS.API.CONSUMER.CREATE.{STREAM}.mine", f"$JS.API.DIRECT.GET.{STREAM}"),
    *("$SYS.REQ.USER.AUTH", "$SYS.REQ.SERVER.PING.CONNZ", "$JS.ACK.x", "anything"),
)
NOTIFICATIONS = ("lease_conflict", "lease_revoked", "agent_lapsed", "consensus_requested")


def subjects(side: TenantData) -> Iterator[str]:
    """Yield every subject of a tenant, also with wildcards."""
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


def in_batches(names: Sequence[str], size: int = 40) -> Iterator[Sequence[str]]:
    """Split the names, because the subscriptions of a connection are limited."""
    for first in range(0, len(names), size):
        yield names[first : first + size]


async def expect_violations(listener: Listener, operation: str, count: int) -> None:
    await wait_until(lambda: len(listener.errors) >= count)
    expected = VIOLATION.format(operation)
    assert [error for error in listener.errors if expected not in error] == []
    assert len(listener.errors) == count


async def cause_notifications(side: TenantData) -> None:
    """Cause notifications of every kind in a tenant."""
    rival = await side.tenant.create_agent("rival")
    await side.agent.heartbeat(side.agent.id)
    await side.agent.lease(side.agent.id, "contended@example.com")
    await rival.acquire(rival.id, "contended@example.com")
    await rival.request_send(rival.id, "contended@example.com")
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
    denied = list(subjects(theirs))
    observer = await theirs.tenant.listen(
        *(f"quorate.{theirs.tenant.id}.{rest}" for rest in ("agent.*.>", "all.>", "log.>"))
    )
    listeners = []
    for part in in_batches(denied):
        listener = await ours.tenant.operator.listen(ours.key_of(role), *part)
        await expect_violations(listener, "subscription", len(part))
        listeners.append(listener)

    await cause_notifications(theirs)

    await wait_until(lambda: set(NOTIFICATIONS) <= set(observer.names()))
    for listener in listeners:
        await listener.client.flush()
        assert listener.messages == []


@pytest.mark.parametrize("role", ROLES)
async def test_wildcard_subscription_is_denied(
    ours: TenantData, theirs: TenantData, role: Role
) -> None:
    observer = await theirs.tenant.listen(f"quorate.{theirs.tenant.id}.log.>")
    listener = await ours.tenant.operator.listen(ours.key_of(role), *WILDCARD_SUBJECTS)
    await expect_violations(listener, "subscription", len(WILDCARD_SUBJECTS))

    await cause_notifications(theirs)

    await wait_until(lambda: "LeaseConflicted" in observer.names())
    await listener.client.flush()
    assert listener.messages == []


@pytest.mark.parametrize("role", ROLES)
async def test_publishing_on_foreign_subjects_is_denied(
    ours: TenantData, theirs: TenantData, role: Role
) -> None:
    observers = [
        await side.tenant.listen(
            *(f"quorate.{side.tenant.id}.{rest}" for rest in ("agent.*.>", "all.>")),
            f"{inbox_prefix(side.tenant.issued.principal)}.>",
        )
        for side in (ours, theirs)
    ]
    forged = [one for side in (ours, theirs) for one in subjects(side) if one[-1] not in WILD]
    forged = [subject for subject in forged if "*" not in subject] + list(SERVER_SUBJECTS)
    forged = [subject for subject in forged if not is_own_command(subject, ours, role)]
    listener = await ours.tenant.operator.listen(ours.key_of(role))

    for subject in forged:
        await listener.client.publish(subject, b'{"forged": true}')
    await listener.client.flush()

    await expect_violations(listener, "publish", len(forged))
    for observer in observers:
        await observer.client.flush()
        assert not any(b"forged" in message.data for message in observer.messages)


@pytest.mark.parametrize("role", ROLES)
async def test_server_and_stream_apis_are_denied(ours: TenantData, role: Role) -> None:
    listener = await ours.tenant.operator.listen(ours.key_of(role))

    for subject in SERVER_SUBJECTS[:4]:
        with pytest.raises(NatsError):
            await listener.client.request(subject, b"{}", timeout=0.2)

    assert listener.messages == []


async def test_admin_key_cannot_connect_to_nats(operator: Operator) -> None:
    with pytest.raises(NatsError, match="Authorization Violation"):
        await Listener.connected(operator.service.nats_url, str(operator.key))


async def test_agent_receives_no_messages_of_another_agent(tenant: Tenant) -> None:
    ann, bob = await tenant.create_agents("ann", "bob")
    denied = (
        f"quorate.{tenant.id}.agent.{bob.id}.>",
        f"quorate.{tenant.id}.agent.*.>",
        f"quorate.{tenant.id}.log.>",
        f"{inbox_prefix(bob.issued.principal)}.>",
    )

    listener = await ann.listen(*denied)

    await expect_violations(listener, "subscription", len(denied))


async def test_agent_name_like_a_tenant_gives_no_access(operator: Operator, tenant: Tenant) -> None:
    """The subjects of ``x`` and ``x-y`` or ``x_y`` have no common prefix match."""
    name = f"t{uuid4().hex[:8]}"  # Starts with a letter to have an upper-case form.
    for tenant_id in (name, f"{name}_{tenant.id}", f"{name}-{tenant.id}", name.upper()):
        near = await operator.create_tenant(tenant_id)
        far = f"{name}_x"
        denied = (f"quorate.{far}.all.>", f"_INBOX_{far}_{near.issued.id}.>", f"_INBOX_{far}.>")

        listener = await near.listen(*denied)

        await expect_violations(listener, "subscription", len(denied))


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
