"""One tenant with a resource of each kind, for the tests of isolation."""

from collections.abc import Mapping

from quorate.domain.identity.principals import Role
from quorate.domain.shared.records import record
from tests.e2e.service.http_clients import Agent, Caller, IssuedKey, KeyHolder, Operator, Tenant
from tests.e2e.service.service_process import Json
from tests.e2e.service.task_bodies import create_task


@record
class TenantData:
    """One tenant and its resources. Names and contacts begin with its id to be recognizable."""

    tenant: Tenant
    auditor: KeyHolder
    mail: KeyHolder
    agent: Agent
    spare_key: str  # The id of an unused key.
    lease: str
    request: str
    message: str  # From the agent to itself and to a person outside.
    thread: str
    preset: str
    attached: str  # A message from outside with an attachment.
    session_message: str  # In the main session of the agent.
    task: Json  # Of the agent, which claimed it, with a file and a question.
    artifact: str
    question: str
    item: str  # A task in a list that is named like the tenant.
    schedule: str

    @property
    def callers(self) -> Mapping[Role, Caller]:
        """One caller for each role, including admin."""
        return {
            "admin": self.tenant.operator,
            "tenant": self.tenant,
            "agent": self.agent,
            "auditor": self.auditor,
            "mail": self.mail,
        }

    def key_of(self, role: Role) -> IssuedKey:
        """Return the key of a role that keys of a tenant may have."""
        holders = {
            "tenant": self.tenant,
            "agent": self.agent,
            "auditor": self.auditor,
            "mail": self.mail,
        }
        return holders[role].issued

    @property
    def contact(self) -> str:
        return f"{self.tenant.id}@example.com"

    @property
    def names(self) -> frozenset[str]:
        """All values that identify this tenant or its resources."""
        assert self.agent.issued.agent_id is not None
        return frozenset(
            {self.tenant.id, self.agent.id, self.agent.name, self.lease, self.request}
            | {self.message, self.thread, self.attached, self.session_message}
            | {self.task["task_id"], self.artifact, self.question}
            | {self.item, self.schedule}
            | {self.contact, self.spare_key, self.agent.issued.id, self.tenant.issued.id}
        )


async def create_tenant_data(operator: Operator) -> TenantData:
    tenant = await operator.create_tenant()
    agent = await tenant.create_agent(f"{tenant.id}-agent")
    contact = f"{tenant.id}@example.com"
    lease = await agent.lease(agent.id, contact, intent=tenant.id)
    request = await agent.propose(agent.id, reason=tenant.id)
    mail = {"to": [address_of(agent, tenant), contact], "subject": tenant.id}
    mail_server = await tenant.create_mail_server()
    sent = (await agent.request("POST", "/email/send", mail)).json()
    preset = f"{tenant.id}-preset"
    await tenant.request_ok("PUT", f"/v1/presets/{preset}", {"description": tenant.id})
    body: Json = {"key": f"agent:{agent.name}:main", "message": tenant.id}
    session = (await agent.request("POST", "/v1/tools/sessions_send", body)).json()
    body = {"action": "create", "subject": tenant.id, "list_id": tenant.id}
    item = (await agent.request("POST", "/v1/tools/task_list", body)).json()["task"]
    body = {
        "action": "create",
        "schedule": {"every_seconds": 86_400},
        "payload": {"kind": "agentTurn", "message": tenant.id},
    }
    schedule = (await agent.request("POST", "/v1/tools/schedule", body)).json()["schedule"]
    return TenantData(
        tenant=tenant,
        auditor=await tenant.create_auditor(),
        mail=mail_server,
        agent=agent,
        spare_key=(await tenant.issue("auditor")).id,
        lease=lease["id"],
        request=request["id"],
        message=sent["message_id"],
        thread=sent["thread_id"],
        preset=preset,
        attached=await _receive_file(mail_server, address_of(agent, tenant)),
        session_message=session["message_id"],
        **await create_task(agent),
        item=item["item_id"],
        schedule=schedule["id"],
    )


async def _receive_file(mail_server: KeyHolder, address: str) -> str:
    raw = (
        f"From: kim@example.com\r\nTo: {address}\r\nContent-Type: text/csv; name=prices.csv\r\n"
        "Content-Disposition: attachment\r\n\r\na,b\r\n"
    )
    headers = {"Content-Type": "message/rfc822"}
    received = await mail_server.request("POST", "/email/inbound", content=raw, headers=headers)
    return str(received.json()["message_id"])


def address_of(agent: Agent, tenant: Tenant) -> str:
    return f"{agent.name}@{tenant.id.lower().replace('_', '-')}.agents.localhost"
