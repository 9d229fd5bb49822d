"""Agents with the number of what each of them has: leases, claimed tasks, unread messages."""

from typing import Any

from sqlalchemy import BindParameter, ColumnElement, Select, bindparam, func, literal_column, select

from quorate.domain.identity.agents import Agent
from quorate.domain.shared.records import record
from quorate.projections.identity import agents as agent_rows
from quorate.projections.tables import (
    agents,
    lease_tenant_compared,
    leases,
    mail_accounts,
    task_tenant_compared,
    tasks,
)


@record
class AgentRow:
    """An agent, and its counts where they were asked for."""

    agent: Agent
    leases_held: int | None
    tasks_claimed: int | None
    unread_mail: int | None


def counted_agents() -> Select[Any]:
    """Select agents, with the number of what each of them has at ``now``."""
    now: BindParameter[int] = bindparam("now")
    held = select(func.count()).where(
        lease_tenant_compared == agents.c.tenant,
        leases.c.agent_id == agents.c.id,
        leases.c.ended_at.is_(None),
        leases.c.expires_at > now,
        agents.c.active_until >= now,
    )
    claimed = select(func.count()).where(
        task_tenant_compared == agents.c.tenant,
        tasks.c.worker_id == agents.c.id,
        tasks.c.expires_at > now,
    )
    unread = select(mail_accounts.c.unread).where(
        mail_accounts.c.tenant == agents.c.tenant, mail_accounts.c.id == agents.c.id
    )
    return select(
        agents,
        held.scalar_subquery().label("leases_held"),
        claimed.scalar_subquery().label("tasks_claimed"),
        # Without a mailbox there is no row.
        func.coalesce(unread.scalar_subquery(), literal_column("0")).label("unread_mail"),
    )


def uncounted_agents() -> Select[Any]:
    """Select the same columns without counting: the leases of an agent are counted one by one."""
    nothing: ColumnElement[None] = literal_column("NULL")
    return select(
        agents, *(nothing.label(name) for name in ("leases_held", "tasks_claimed", "unread_mail"))
    )


def agent_row(row: Any) -> AgentRow:  # noqa: ANN401 - a row of ``agents`` with counts.
    return AgentRow(
        agent=agent_rows.from_row(row),
        leases_held=row.leases_held,
        tasks_claimed=row.tasks_claimed,
        unread_mail=row.unread_mail,
    )
