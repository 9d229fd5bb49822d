"""Read how much of its quotas a tenant or an agent has used."""

from collections.abc import Iterator

from quorate.application.execution import Service
from quorate.application.operations import Call, Reply, handles
from quorate.application.rendering import dump, renderer
from quorate.contracts.identity.quotas import GET_QUOTAS, QuotaInfo, QuotasInfo, QuotasQuery
from quorate.domain.identity.agents import AgentNotFound
from quorate.domain.shared.daily_quotas import Usage, day_of, end_of_day
from quorate.domain.shared.quotas import COUNTED, Quota, Quotas, with_limits
from quorate.domain.shared.records import record
from quorate.domain.shared.timestamps import Timestamp
from quorate.projections.tenant_queries import StoredUse


@record
class QuotaUse:
    """A quota, how much of it is used, and its limit."""

    quota: Quota
    used: int
    limit: int | None
    resets_at: Timestamp | None = None


@record
class QuotasOfCaller:
    tenant_id: str
    agent_id: str | None


_render_quota = renderer(QuotaInfo, QuotaUse)
_render_quotas = renderer(QuotasInfo, QuotasOfCaller)


@handles(GET_QUOTAS)
async def get_quotas(service: Service, call: Call) -> Reply:
    query: QuotasQuery = call.query
    tenant = call.principal.tenant
    agent_id = query.agent_id or call.principal.agent_id
    if query.agent_id is not None and query.agent_id != call.principal.agent_id:
        known = await service.reader.agent(tenant, query.agent_id)
        if known.found is None:
            raise AgentNotFound
    use = await service.tenants.use(tenant, agent_id)
    found = quotas_in_use(use, service.quotas, service.clock(), of_agent=agent_id is not None)
    body = _render_quotas(
        QuotasOfCaller(tenant_id=tenant, agent_id=agent_id),
        quotas=[_render_quota(one) for one in found],
    )
    return Reply(body=dump(body), sequence=use.sequence)


def quotas_in_use(
    use: StoredUse, of_service: Quotas, now: Timestamp, *, of_agent: bool
) -> Iterator[QuotaUse]:
    """Return the quotas of the tenant and then, on request, those of the agent."""
    quotas, resets_at = with_limits(of_service, use.limits), end_of_day(now)
    tenant, agent = _today(use.of_tenant, now), _today(use.of_agent, now)
    for counted in COUNTED:
        yield QuotaUse(
            quota=counted, used=use.counts.get(counted, 0), limit=getattr(quotas, counted)
        )
    daily: list[tuple[Quota, int]] = [
        ("events_per_day", tenant.events),
        ("bytes_per_day", tenant.bytes),
    ]
    if of_agent:
        of_one: list[tuple[Quota, int]] = [
            ("live_leases_per_agent", use.live_leases_of_agent),
            ("mailbox_bytes_per_agent", use.mailbox_bytes_of_agent),
            ("open_tasks_per_agent", use.open_tasks_of_agent),
        ]
        for quota, used in of_one:
            yield QuotaUse(quota=quota, used=used, limit=getattr(quotas, quota))
        daily += [
            ("events_per_day_per_agent", agent.events),
            ("bytes_per_day_per_agent", agent.bytes),
        ]
    for quota, used in daily:
        yield QuotaUse(quota=quota, used=used, limit=getattr(quotas, quota), resets_at=resets_at)


def _today(usage: Usage | None, now: Timestamp) -> Usage:
    if usage is not None and usage.day == day_of(now):
        return usage
    return Usage(day=day_of(now), events=0, bytes=0)
