"""Create, replace, read and remove presets."""

from quorate.application.execution import Service
from quorate.application.operations import Call, Reply, handles
from quorate.application.pagination import list_reply
from quorate.application.rendering import dump, renderer
from quorate.contracts.sessions.presets import (
    DELETE_PRESET,
    GET_PRESET,
    LIST_PRESETS,
    PUT_PRESET,
    PresetBody,
    PresetInfo,
    RemovedPreset,
)
from quorate.domain.identity.api_keys import PresetNotFound
from quorate.domain.sessions.presets import (
    ApplyPreset,
    Preset,
    RemovePreset,
    hints_of,
)

_render = renderer(PresetInfo, Preset, name="id", preset="fields")


def _json(preset: Preset) -> dict[str, object]:
    return _render(preset, hints=list(hints_of(preset.fields)))


@handles(PUT_PRESET)
async def put_preset(service: Service, call: Call) -> Reply:
    body: PresetBody = call.body
    command = ApplyPreset(
        caller=call.principal,
        name=call.path["preset_name"],
        fields=body.model_dump(mode="json", exclude_none=True, exclude={"tenant_id"}),
        count=await service.sessions.presets.count(call.principal.tenant),
    )
    return await service.execute(call, command, lambda preset: dump(_json(preset)))


@handles(DELETE_PRESET)
async def delete_preset(service: Service, call: Call) -> Reply:
    name = call.path["preset_name"]
    removed = dump(RemovedPreset(name=name, removed=True).raw)
    command = RemovePreset(caller=call.principal, name=name)
    return await service.execute(call, command, lambda _: removed)


@handles(GET_PRESET)
async def get_preset(service: Service, call: Call) -> Reply:
    result = await service.sessions.presets.get(call.principal.tenant, call.path["preset_name"])
    if result.found is None:
        raise PresetNotFound(call.path["preset_name"])
    return Reply(body=dump(_json(result.found)), sequence=result.sequence)


@handles(LIST_PRESETS)
async def list_presets(service: Service, call: Call) -> Reply:
    tenant = call.principal.tenant
    return await list_reply(
        service,
        call,
        LIST_PRESETS.path,
        lambda after, limit, size: service.sessions.presets.page(tenant, after, limit, size),
        render=lambda preset, _: _json(preset),
        cursor=lambda preset: preset.id,
    )
