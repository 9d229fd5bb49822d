"""Read and replace the settings of an agent: one flat object, always written in full."""

from quorate.application.execution import Service
from quorate.application.operations import Call, Reply, handles
from quorate.application.rendering import dump
from quorate.contracts.identity.agent_settings import GET_CONFIG, PUT_CONFIG, ConfigBody
from quorate.domain.identity.agent_settings import SETTING_TYPES, ConfigureAgent
from quorate.domain.identity.agents import AgentNotFound


@handles(GET_CONFIG)
async def get_config(service: Service, call: Call) -> Reply:
    result = await service.reader.settings(call.principal.tenant, call.path["agent_id"])
    if result.found is None:
        raise AgentNotFound
    return Reply(body=dump(dict(result.found)), sequence=result.sequence)


@handles(PUT_CONFIG)
async def put_config(service: Service, call: Call) -> Reply:
    body: ConfigBody = call.body
    command = ConfigureAgent(
        caller=call.principal,
        agent_id=call.path["agent_id"],
        settings=body.model_dump(include=set(SETTING_TYPES), exclude_unset=True),
    )
    return await service.execute(call, command, lambda settings: dump(dict(settings)))
