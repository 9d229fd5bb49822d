"""Agents with keys that use the tools of sessions of a service in this process."""

from typing import Any

from tests.integration.api.asgi_client import AsgiResponse, json_request
from tests.integration.api.in_process import InProcess

TOOLS, NOTIFICATIONS = "/v1/tools", "/v1/agent/notifications"


class SessionAgent:
    """An agent with its own key."""

    def __init__(self, service: InProcess, name: str, agent_id: str, key: str) -> None:
        self.service, self.name, self.id, self.key = service, name, agent_id, key
        self.main = f"agent:{name}:main"
        self._notified = 0

    async def request(
        self,
        tool: str,
        *,
        headers: dict[str, str] | None = None,
        **fields: Any,  # noqa: ANN401
    ) -> AsgiResponse:
        request = json_request("POST", f"{TOOLS}/{tool}", fields, key=self.key, headers=headers)
        return await self.service.ask(request)

    async def call(self, tool: str, *, headers: dict[str, str] | None = None, **fields: Any) -> Any:  # noqa: ANN401 - the response.
        response = await self.request(tool, headers=headers, **fields)
        assert response.status == 200, response.body
        return response.json

    async def rejection(self, tool: str, **fields: Any) -> tuple[str, str]:  # noqa: ANN401
        """Return the code and the detail of a rejection."""
        response = await self.request(tool, **fields)
        return response.json["code"], response.json["detail"]

    async def next_notification(self, name: str) -> Any:  # noqa: ANN401 - its data.
        """Wait for the next notification with this name."""
        while True:
            path = f"{NOTIFICATIONS}?after={self._notified}&limit=1&wait=10"
            page = (await self.service.get(path, key=self.key)).json
            assert page["notifications"], f"no {name} arrived"
            self._notified = page["next"]
            (found,) = page["notifications"]
            if found["type"] == f"quorate.{name}":
                return found["data"]


async def create_agents(
    service: InProcess, *names: str, preset: str | None = None
) -> list[SessionAgent]:
    created = []
    for name in names:
        registered = await service.call("POST", "/v1/agent/register", {"agentName": name})
        body = {"role": "agent", "agentName": name, **({"preset": preset} if preset else {})}
        key = await service.call("POST", "/v1/keys", body)
        assert key.status == 200, key.body
        created.append(SessionAgent(service, name, registered.json["id"], key.json["key"]))
    return created
