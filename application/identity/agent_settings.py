"""Read and replace the settings of an agent: one flat object, always written in full."""

from quorate.application.execution import Service
from quorate.application.operations import Call, Endpoint, Reply
from quorate.contracts.problems import Problem
from quorate.contracts.requests import ConfigBody, Query
from quorate.contracts.responses import ConfigResponse, config_response, dump
from quorate.contracts.roles import CAN_ACT, CAN_READ
from quorate.domain.identity.agent_settings import SETTING_TYPES, ConfigureAgent, Settings

CONFIG = "/v1/agent/agents/{agent_id}/config"


async def get_config(service: Service, call: Call) -> Reply:
    result = await service.reader.settings(call.principal.tenant, call.path["agent_id"])
    if result.found is None:
        raise Problem("agent_not_found", "Agent not found.")
    return Reply(body=dump(config_response(result.found)), sequence=result.sequence)


async def put_config(service: Service, call: Call) -> Reply:
    body: ConfigBody = call.body
    command = ConfigureAgent(
        caller=call.principal,
        agent_id=call.path["agent_id"],
        settings=body.model_dump(include=set(SETTING_TYPES), exclude_unset=True),
    )
    return await service.execute(call, command, _render)


def _render(settings: Settings) -> bytes:
    return dump(config_response(settings))


ENDPOINTS = (
    Endpoint(
        method="GET",
        path=CONFIG,
        name="getConfig",
        summary="Get an agent's settings",
        roles=CAN_READ,
        query=Query,
        response=ConfigResponse,
        problems=("agent_not_found",),
        handler=get_config,
    ),
    Endpoint(
        method="PUT",
        path=CONFIG,
        name="putConfig",
        summary="Replace an agent's settings",
        description="Unknown settings are ignored.",
        roles=CAN_ACT,
        body=ConfigBody,
        query=Query,
        response=ConfigResponse,
        problems=("agent_not_found", "acting_as_another", "quota_exceeded"),
        command=True,
        handler=put_config,
    ),
)
