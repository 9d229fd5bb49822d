"""Mark, acknowledge, delete and erase messages; accounts and policies."""

from collections.abc import Sequence
from typing import Any

from quorate.application.execution import Service
from quorate.application.mail import mailbox_owner
from quorate.application.mail.rendering import render_account, render_marks, render_policy
from quorate.application.named_tenant import tenant_of
from quorate.application.operations import Call, Reply, handles
from quorate.application.rendering import constant, dump, renderer
from quorate.contracts.mail.mailbox import (
    ACKNOWLEDGE,
    DELETE_MESSAGE,
    ERASE_MESSAGE,
    FREEZE_ACCOUNT,
    GET_ACCOUNT,
    GET_POLICY,
    GET_UNREAD,
    MARK_READ,
    MARK_UNREAD,
    PUT_POLICY,
    SET_TIER,
    STAR,
    THAW_ACCOUNT,
    Deleted,
    ErasedInfo,
    PolicyBody,
    StarBody,
    Starred,
    UnreadInfo,
)
from quorate.domain.identity.agents import AgentNotFound, AgentRef
from quorate.domain.mail.accounts import (
    FreezeSending,
    MailAccount,
    MailPolicy,
    SetMailPolicy,
    SetMailTier,
    ThawSending,
)
from quorate.domain.mail.mailbox import (
    AcknowledgeMessage,
    DeleteMessage,
    MarkRead,
    Marks,
    MarkUnread,
    StarMessage,
)
from quorate.domain.mail.messages import EraseMessage, Message
from quorate.domain.shared.records import changed
from quorate.eventlog.moments import current_moment
from quorate.projections.mail.unread import Unread

_DELETED = constant(Deleted)
_render_starred = renderer(Starred, Marks)
_render_erased = renderer(ErasedInfo, Message, message_id="id")
_render_unread = renderer(UnreadInfo, Unread)


async def _mark(service: Service, call: Call, command: type[Any]) -> Reply:
    agent_id = await mailbox_owner.agent_id(service, call)
    marked = command(caller=call.principal, agent_id=agent_id, message_id=call.path["message_id"])
    return await service.execute(call, marked, lambda marks: dump(render_marks(marks)))


@handles(MARK_READ)
async def mark_read(service: Service, call: Call) -> Reply:
    return await _mark(service, call, MarkRead)


@handles(MARK_UNREAD)
async def mark_unread(service: Service, call: Call) -> Reply:
    return await _mark(service, call, MarkUnread)


@handles(ACKNOWLEDGE)
async def acknowledge(service: Service, call: Call) -> Reply:
    return await _mark(service, call, AcknowledgeMessage)


@handles(STAR)
async def star(service: Service, call: Call) -> Reply:
    body: StarBody = call.body
    command = StarMessage(
        caller=call.principal,
        agent_id=await mailbox_owner.agent_id(service, call),
        message_id=call.path["message_id"],
        starred=body.starred,
    )
    return await service.execute(call, command, lambda marks: dump(_render_starred(marks)))


@handles(DELETE_MESSAGE)
async def delete(service: Service, call: Call) -> Reply:
    command = DeleteMessage(
        caller=call.principal,
        agent_id=await mailbox_owner.agent_id(service, call),
        message_id=call.path["message_id"],
    )
    return await service.execute(call, command, lambda _: _DELETED)


@handles(ERASE_MESSAGE)
async def erase(service: Service, call: Call) -> Reply:
    command = EraseMessage(
        caller=call.principal, message_id=call.path["message_id"], detail=call.body.detail
    )
    return await service.execute(
        call,
        command,
        lambda message: dump(_render_erased(message)),
        tenant=tenant_of(call),
    )


# -- Accounts ------------------------------------------------------------------


@handles(GET_ACCOUNT)
async def get_account(service: Service, call: Call) -> Reply:
    agent_id = await mailbox_owner.agent_id(service, call)
    return await _account(service, call.principal.tenant, agent_id)


async def _account(service: Service, tenant: str, agent_id: str) -> Reply:
    agent = (await service.reader.agent(tenant, agent_id)).found
    if agent is None:
        raise AgentNotFound
    result = await service.mail.reader.account(tenant, agent_id)
    account = result.found or MailAccount(id=agent_id, created_at=agent.agent.registered_at)
    settings = service.mail.settings_of(tenant)
    if current_moment() is not None:  # In memory is the domain of now.
        domain = await service.tenant_domains.stored_domain_of(tenant)
        settings = changed(settings, domain=domain)
    body = render_account(account, agent.agent.name, settings, result.now)
    return Reply(body=dump(body), sequence=result.sequence)


@handles(GET_POLICY)
async def get_policy(service: Service, call: Call) -> Reply:
    tenant = call.principal.tenant
    agent_id = await mailbox_owner.agent_id(service, call)
    result = await service.mail.reader.account(tenant, agent_id)
    policy = MailPolicy() if result.found is None else result.found.policy
    return Reply(body=dump(render_policy(policy)), sequence=result.sequence)


@handles(GET_UNREAD)
async def get_unread(service: Service, call: Call) -> Reply:
    result = await service.mail.unread.count(call.principal.tenant)
    return Reply(body=dump(_render_unread(result.found)), sequence=result.sequence)


@handles(PUT_POLICY)
async def put_policy(service: Service, call: Call) -> Reply:
    body: PolicyBody = call.body
    command = SetMailPolicy(
        caller=call.principal,
        agent=mailbox_owner.agent_ref(call),
        policy=MailPolicy(mode=body.mode, allow=_names(body.allow), block=_names(body.block)),
    )

    def render(account: MailAccount) -> bytes:
        return dump(render_policy(account.policy))

    return await service.execute(call, command, render)


def _names(senders: Sequence[str]) -> tuple[str, ...]:
    return tuple(sorted({one.strip().lower() for one in senders} - {""}))


async def _of_operator(service: Service, call: Call, command: Any) -> Reply:  # noqa: ANN401
    tenant = tenant_of(call)
    await service.submit(call, command, lambda _: b"{}", tenant=tenant)
    return await _account(service, tenant, call.path["agent_id"])


@handles(FREEZE_ACCOUNT)
async def freeze(service: Service, call: Call) -> Reply:
    agent = AgentRef(id=call.path["agent_id"])
    command = FreezeSending(caller=call.principal, agent=agent, detail=call.body.detail)
    return await _of_operator(service, call, command)


@handles(THAW_ACCOUNT)
async def thaw(service: Service, call: Call) -> Reply:
    agent = AgentRef(id=call.path["agent_id"])
    command = ThawSending(caller=call.principal, agent=agent, detail=call.body.detail)
    return await _of_operator(service, call, command)


@handles(SET_TIER)
async def set_tier(service: Service, call: Call) -> Reply:
    agent = AgentRef(id=call.path["agent_id"])
    command = SetMailTier(caller=call.principal, agent=agent, tier=call.body.tier)
    return await _of_operator(service, call, command)
