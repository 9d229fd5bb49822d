"""The one table of what may be asked: what each command names, decides and answers."""

from collections.abc import Sequence
from typing import Any, TypeAlias

from quorate.domain.coordination import consensus, leases, send_gate
from quorate.domain.events import Event
from quorate.domain.identity import agent_settings, agents, api_keys, tenants
from quorate.domain.identity.agents import AgentRef, folded
from quorate.domain.identity.api_keys import Principal
from quorate.domain.shared.records import record
from quorate.domain.tenant_state import DecisionContext, TenantState

Command: TypeAlias = (
    agents.Command
    | leases.Command
    | send_gate.Command
    | consensus.Command
    | agent_settings.Command
    | api_keys.Command
    | tenants.Command
)


@record
class Names:
    """What a command is about: all that its decision may look at."""

    tenant: bool = False
    agents: tuple[str, ...] = ()
    agent_names: tuple[str, ...] = ()
    contacts: tuple[str, ...] = ()
    leases: tuple[str, ...] = ()
    requests: tuple[str, ...] = ()
    settings: tuple[str, ...] = ()
    keys: tuple[str, ...] = ()
    electorate: bool = False
    last_notifications: bool = False  # Of the agents that are named.
    holdings: bool = False  # How many live leases each of them has.
    counts: bool = False


def decide(command: Command, tenant_state: TenantState, moment: DecisionContext) -> Sequence[Event]:
    """The events that follow from a command; raises Refused and changes nothing."""
    return _MODULE_OF[type(command)].decide(command, tenant_state, moment)  # type: ignore[no-any-return]


def outcome(command: Command, tenant_state: TenantState, events: Sequence[Event]) -> Any:  # noqa: ANN401 - each command has its own answer.
    """What to answer, read from the situation after the events were applied."""
    match command:
        case send_gate.RequestSend():
            return events[0]
        case tenants.CreateTenant():
            return tenant_state.tenant
    return _MODULE_OF[type(command)].outcome(command, tenant_state)


def names(command: Command) -> Names:  # noqa: PLR0911 - one line per kind of command.
    match command:
        case leases.AcquireLease():
            ids, agent_names = _agent(command.caller, command.agent)
            contacts = (command.contact.key,)
            return Names(
                agents=ids, agent_names=agent_names, contacts=contacts, holdings=True, counts=True
            )
        case send_gate.RequestSend():
            ids, agent_names = _agent(command.caller, command.agent)
            return Names(agents=ids, agent_names=agent_names, contacts=(command.contact.key,))
        case agents.Heartbeat():
            ids, agent_names = _agent(command.caller, command.agent)
            return Names(agents=ids, agent_names=agent_names, last_notifications=True)
        case leases.RenewLease() | leases.ReleaseLease() | leases.SettleLease():
            return Names(leases=(command.lease_id,))
        case consensus.CastVote():
            ids, agent_names = _agent(command.caller, command.agent)
            requests = (command.request_id,)
            return Names(agents=ids, agent_names=agent_names, requests=requests, electorate=True)
        case consensus.RequestConsensus():
            ids, agent_names = _agent(command.caller, command.agent)
            return Names(agents=ids, agent_names=agent_names, electorate=True, counts=True)
        case agents.RegisterAgent():
            return Names(agent_names=(folded(command.agent_name),), counts=True)
        case agents.SettleAgent():
            return Names(agents=(command.agent_id,))
        case consensus.SettleRequest():
            return Names(requests=(command.request_id,))
        case agent_settings.ConfigureAgent():
            ids = (command.agent_id,)
            return Names(agents=ids, settings=ids, counts=True)
        case api_keys.IssueKey():
            agent_names = (folded(command.agent_name),) if command.agent_name else ()
            return Names(tenant=True, agent_names=agent_names, counts=True)
        case api_keys.RevokeKey():
            return Names(keys=(command.key_id,))
        case tenants.CreateTenant():
            return Names(tenant=True)


def _agent(caller: Principal, ref: AgentRef) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Ids and names under which the acting agent may be found."""
    agent_id = caller.agent_id or ref.id
    if agent_id is not None:
        return (agent_id,), ()
    return (), (folded(ref.name),) if ref.name is not None else ()


_MODULE_OF: dict[type[Command], Any] = {
    agents.RegisterAgent: agents,
    agents.Heartbeat: agents,
    agents.SettleAgent: agents,
    leases.AcquireLease: leases,
    leases.RenewLease: leases,
    leases.ReleaseLease: leases,
    leases.SettleLease: leases,
    send_gate.RequestSend: send_gate,
    consensus.RequestConsensus: consensus,
    consensus.CastVote: consensus,
    consensus.SettleRequest: consensus,
    agent_settings.ConfigureAgent: agent_settings,
    api_keys.IssueKey: api_keys,
    api_keys.RevokeKey: api_keys,
    tenants.CreateTenant: tenants,
}
