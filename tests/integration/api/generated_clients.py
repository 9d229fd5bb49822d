"""Programs that do one lease round trip with a generated client.

Each program gets the address of the service and an API key as arguments. It registers an agent,
acquires, renews and releases a lease, and prints what it received.
"""

# For the package that openapi-python-client generates.
PYTHON = """
import json
import sys

from generated.api.agents import register
from generated.api.leases import acquire_lease, release_lease, renew_lease
from generated.client import AuthenticatedClient
from generated.models import AgentInfo, LeaseBody, LeaseInfo, RegisterBody, Released, RenewBody

url, key = sys.argv[1:]
with AuthenticatedClient(base_url=url, token=key, raise_on_unexpected_status=True) as client:
    agent = register.sync(client=client, body=RegisterBody(agent_name="ann"))
    assert isinstance(agent, AgentInfo), agent
    body = LeaseBody(contact_email="kim@example.com", agent_id=agent.id, duration_minutes=5)
    lease = acquire_lease.sync(client=client, body=body)
    assert isinstance(lease, LeaseInfo), lease
    renewed = renew_lease.sync(lease.id, client=client, body=RenewBody(duration_minutes=60))
    assert isinstance(renewed, LeaseInfo), renewed
    released = release_lease.sync(lease.id, client=client)
    assert isinstance(released, Released), released
    print(json.dumps({
        "contact": lease.contact_email,
        "isProlonged": renewed.expires_at > lease.expires_at,
        "released": released.released,
    }))
"""

_REPORT = """
  console.log(JSON.stringify({
    contact: lease.contactEmail,
    isProlonged: renewed.expiresAt > lease.expiresAt,
    released: released.released,
  }));
}

main();
"""

# For the client that @hey-api/openapi-ts generates.
HEY_API = (
    """
import { acquireLease, register, releaseLease, renewLease } from "./generated";
import { client } from "./generated/client.gen";

declare const process: { argv: string[] };

async function main(): Promise<void> {
  const [baseUrl = "", auth = ""] = process.argv.slice(2);
  client.setConfig({ baseUrl, auth });
  const { data: agent } = await register({ body: { agentName: "ann" }, throwOnError: true });
  const { data: lease } = await acquireLease({
    body: { contactEmail: "kim@example.com", agentId: agent.id, durationMinutes: 5 },
    throwOnError: true,
  });
  const path = { leaseId: lease.id };
  const { data: renewed } = await renewLease({
    path, body: { durationMinutes: 60 }, throwOnError: true,
  });
  const { data: released } = await releaseLease({ path, throwOnError: true });
"""
    + _REPORT
)

# For the types that openapi-typescript generates, with the client of openapi-fetch.
OPENAPI_FETCH = (
    """
import createClient from "openapi-fetch";
import type { paths } from "./generated";

declare const process: { argv: string[] };

function successful<Data>(response: { data?: Data; error?: unknown }): Data {
  if (response.data === undefined) throw new Error(JSON.stringify(response.error));
  return response.data;
}

async function main(): Promise<void> {
  const [baseUrl = "", key = ""] = process.argv.slice(2);
  const client = createClient<paths>({ baseUrl, headers: { Authorization: `Bearer ${key}` } });
  const agent = successful(
    await client.POST("/v1/agent/register", { body: { agentName: "ann" } }),
  );
  const lease = successful(
    await client.POST("/v1/agent/coordination/lease", {
      body: { contactEmail: "kim@example.com", agentId: agent.id, durationMinutes: 5 },
    }),
  );
  const params = { path: { leaseId: lease.id } };
  const renewed = successful(
    await client.POST("/v1/agent/coordination/lease/{leaseId}/renew", {
      params, body: { durationMinutes: 60 },
    }),
  );
  const released = successful(
    await client.DELETE("/v1/agent/coordination/lease/{leaseId}", { params }),
  );
"""
    + _REPORT
)
