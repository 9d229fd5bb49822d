"""Agents' settings: one flat object, replaced as a whole."""

from quorate.application.execution import Service
from quorate.application.operations import Call, Endpoint, Reply
from quorate.contracts.problems import Problem
from quorate.contracts.requests import ConfigBody, Query
from quorate.contracts.responses import ConfigAnswer, config_answer, dump
from quorate.contracts.roles import ACTING, READING
from quorate.domain.identity.agent_settings import SETTING_TYPES, ConfigureAgent, Settings

CONFIG = "/v1/agent/agents/{agent_id}/config"


async def get_config(service: Service, call: Call) -> Reply:
    seen = await service.reader.settings(call.principal.tenant, call.path["agent_id"])
    if seen.found is None:
        raise Problem("agent_not_found", "No such agent.")
    return Reply(body=dump(config_answer(seen.found)), sequence=seen.sequence)


async def put_config(service: Service, call: Call) -> Reply:
    body: ConfigBody = call.body
    command = ConfigureAgent(
        caller=call.principal,
        agent_id=call.path["agent_id"],
        settings=body.model_dump(include=set(SETTING_TYPES), exclude_unset=True),
    )
    return await service.carry_out(call, command, _render)


def _render(settings: Settings) -> bytes:
    return dump(config_answer(settings))


ENDPOINTS = (
    Endpoint(
        method="GET",
        path=CONFIG,
        name="getConfig",
        summary="Read an agent's settings",
        roles=READING,
        query=Query,
        answer=ConfigAnswer,
        problems=("agent_not_found",),
        handler=get_config,
    ),
    Endpoint(
        method="PUT",
        path=CONFIG,
        name="putConfig",
        summary="Replace an agent's settings; unknown keys are left out",
        roles=ACTING,
        body=ConfigBody,
        query=Query,
        answer=ConfigAnswer,
        problems=("agent_not_found", "acting_as_another", "quota_exceeded"),
        command=True,
        handler=put_config,
    ),
)
