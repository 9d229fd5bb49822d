"""Agents that hand over tasks and work on them, each with a key of its own."""

from typing import Any

from quorate.domain.identity.principals import Principal
from quorate.domain.sessions.presets import ApplyPreset
from quorate.eventlog.envelopes import CommandEnvelope
from tests.integration.api.asgi_client import AsgiRequest, AsgiResponse, json_request
from tests.integration.api.in_process import InProcess

Json = dict[str, Any]


class TaskAgent:
    def __init__(self, service: InProcess, name: str, id_: str, key: str) -> None:
        self.service, self.name, self.id, self.key = service, name, id_, key

    async def request(
        self, method: str, path: str, body: Json | None = None, **headers: str
    ) -> AsgiResponse:
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        if body is None:
            authorization = ("Authorization", f"Bearer {self.key}")
            request = AsgiRequest(method=method, path=path, headers=[authorization, *sent.items()])
        else:
            request = json_request(method, path, body, key=self.key, headers=sent)
        return await self.service.ask(request)

    async def call(self, method: str, path: str, body: Json | None = None, **headers: str) -> Json:
        response = await self.request(method, path, body, **headers)
        assert response.status == 200, response.body
        answer: Json = response.json
        return answer

    async def refused(
        self, method: str, path: str, body: Json | None = None, **headers: str
    ) -> tuple[int, str, str]:
        """Return the status, the code and the sentence of a problem."""
        response = await self.request(method, path, body, **headers)
        assert response.status >= 400, response.body
        return response.status, response.json["code"], response.json["detail"]

    # -- Tools -----------------------------------------------------------------

    async def tool(self, name: str, body: Json, **headers: str) -> Json:
        return await self.call("POST", f"/v1/tools/{name}", body, **headers)

    async def refused_tool(self, name: str, body: Json, **headers: str) -> tuple[int, str, str]:
        return await self.refused("POST", f"/v1/tools/{name}", body, **headers)

    async def spawn(self, task: str = "report", **fields: Any) -> str:  # noqa: ANN401
        body = {"task": task, "nonblocking": True, **fields}
        return str((await self.tool("spawn_agent", body))["task_id"])

    # -- Work ------------------------------------------------------------------

    async def claim(self, *presets: str, wait: float = 0, **fields: Any) -> Json | None:  # noqa: ANN401
        body = {"presets": list(presets or ("-",)), "wait": wait, **fields}
        task: Json | None = (await self.call("POST", "/v1/tasks/claim", body))["task"]
        return task

    async def claimed(self, *presets: str, **fields: Any) -> Json:  # noqa: ANN401
        task = await self.claim(*presets, **fields)
        assert task is not None
        return task

    async def report(self, task: Json, action: str, **fields: Any) -> Json:  # noqa: ANN401
        body = {"fence": task["fence"], **fields}
        return await self.call("POST", f"/v1/tasks/{task['task_id']}/{action}", body)

    async def refused_report(
        self,
        task: Json,
        action: str,
        **fields: Any,  # noqa: ANN401
    ) -> tuple[int, str, str]:
        body = {"fence": task["fence"], **fields}
        return await self.refused("POST", f"/v1/tasks/{task['task_id']}/{action}", body)


async def create_agent(service: InProcess, name: str, preset: str | None = None) -> TaskAgent:
    body: Json = {"role": "agent", "agentName": name}
    if preset is not None:
        body["preset"] = preset
    issued = (await service.call("POST", "/v1/keys", body)).json
    agent = TaskAgent(service, name, issued["agentId"], issued["key"])
    await agent.call("POST", "/v1/agent/register", {"agentName": name})
    return agent


async def apply_preset(service: InProcess, name: str, fields: Json) -> None:
    running = service.running.service
    principal = Principal(key_id="key", role="tenant", tenant=service.credentials["tenantId"])
    count = await running.sessions.presets.count(principal.tenant)
    envelope = CommandEnvelope(
        tenant=principal.tenant,
        actor=principal.actor,
        command_id=running.id(),
        command=ApplyPreset(caller=principal, name=name, fields=fields, count=count),
        render=lambda _: b"",
    )
    await running.command_bus.submit(envelope)
