"""Agents with keys that send mail to a service in this process."""

from typing import Any
from urllib.parse import urlencode

from tests.integration.api.asgi_client import AsgiRequest, AsgiResponse, json_request
from tests.integration.api.in_process import InProcess

DOMAIN = "agents.localhost"
SEND, INBOX, SENT = "/email/send", "/email/inbox", "/email/sent"


class Mailbox:
    """An agent with its own key."""

    def __init__(self, service: InProcess, name: str, agent_id: str, key: str) -> None:
        self.service, self.name, self.id, self.key = service, name, agent_id, key
        self.address = f"{name}@{DOMAIN}"

    async def request(
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        headers: dict[str, str] | None = None,
        key: str | None = None,
        **query: Any,  # noqa: ANN401 - values of the query.
    ) -> AsgiResponse:
        path += f"?{urlencode(query)}" if query else ""
        key = key or self.key
        if body is None:
            sent = [("Authorization", f"Bearer {key}"), *(headers or {}).items()]
            return await self.service.ask(AsgiRequest(method=method, path=path, headers=sent))
        return await self.service.ask(json_request(method, path, body, key=key, headers=headers))

    async def call(self, method: str, path: str, body: object = None, **query: Any) -> Any:  # noqa: ANN401
        response = await self.request(method, path, body, **query)
        assert response.status == 200, response.body
        return response.json

    async def send(self, *to: "Mailbox | str", **fields: Any) -> Any:  # noqa: ANN401 - the response.
        return await self.call("POST", SEND, mail_to(*to, **fields))

    async def inbox(self, **query: Any) -> Any:  # noqa: ANN401 - a page.
        return await self.call("GET", INBOX, **query)

    async def get(self, message_id: str, **query: Any) -> Any:  # noqa: ANN401 - a message.
        return await self.call("GET", f"/email/message/{message_id}", **query)

    async def rejection(self, method: str, path: str, body: object = None, **query: Any) -> str:  # noqa: ANN401
        """Return status and code of a rejection."""
        response = await self.request(method, path, body, **query)
        code = response.json["code"]
        assert response.json["error"]["code"] == code
        return f"{response.status} {code}"


def mail_to(*to: Mailbox | str, **fields: Any) -> dict[str, Any]:  # noqa: ANN401
    addresses = [one if isinstance(one, str) else one.address for one in to]
    return {"to": addresses, "subject": "Hi", "body_text": "hello", **fields}


async def create_mailboxes(service: InProcess, *names: str) -> list[Mailbox]:
    created = []
    for name in names:
        registered = await service.call("POST", "/v1/agent/register", {"agentName": name})
        key = await service.call("POST", "/v1/keys", {"role": "agent", "agentName": name})
        assert key.status == 200, key.body
        created.append(Mailbox(service, name, registered.json["id"], key.json["key"]))
    return created
