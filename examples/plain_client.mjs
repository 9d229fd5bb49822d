// Agent in JavaScript with a plain NATS client, written from the AsyncAPI document of the service.
//
//     npm install nats
//     node plain_client.mjs user@example.com 10
//
// The agent registers, acquires a lease, holds it for the given seconds, and prints notifications. If
// another agent holds the contact, it prints the holder and exits with code 3.

import { randomUUID } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { connect } from "nats";

const { QUORATE_NATS_URL, QUORATE_API_KEY, QUORATE_TENANT, QUORATE_AGENT_ID } = process.env;
const [contact, seconds] = process.argv.slice(2);
const RESPONSE_MILLISECONDS_MAX = 5_000;

const client = await connect({
  servers: QUORATE_NATS_URL,
  token: QUORATE_API_KEY,
  inboxPrefix: `_INBOX_${QUORATE_TENANT}_${QUORATE_AGENT_ID}`, // The service responds to this inbox only.
  maxReconnectAttempts: -1,
  ignoreAuthErrorAbort: true, // While the service restarts, NATS refuses valid keys too.
});

async function request(operation, fields = {}) {
  const subject = `quorate.${QUORATE_TENANT}.cmd.${QUORATE_AGENT_ID}.${operation}`;
  const command = JSON.stringify({ ...fields, idempotencyKey: randomUUID() });
  const reply = await client.request(subject, command, { timeout: RESPONSE_MILLISECONDS_MAX });
  if (reply.headers?.has("Nats-Service-Error-Code")) {
    throw Object.assign(new Error("rejected"), { problem: reply.json() });
  }
  return reply.json();
}

function printLine(status, details) {
  console.log(JSON.stringify({ status, ...details }));
}

client.subscribe(`quorate.${QUORATE_TENANT}.agent.${QUORATE_AGENT_ID}.>`, {
  callback(error, message) {
    if (error) throw error;
    const notification = message.json();
    printLine(notification.type.replace("quorate.", ""), notification.data);
  },
});

try {
  const agent = await request("register");
  printLine("registered", { agentName: agent.agentName, activeUntil: agent.activeUntil });
  const lease = await request("acquireLease", { contactEmail: contact, intent: "an example" });
  printLine("holding", { contactEmail: lease.contactEmail, fence: lease.fence });
  await sleep(Number(seconds) * 1_000);
  await request("releaseLease", { leaseId: lease.id });
  printLine("released", { contactEmail: lease.contactEmail });
} catch (error) {
  if (!error.problem) throw error;
  printLine("rejected", error.problem);
  process.exitCode = error.problem.code === "lease_conflict" ? 3 : 1;
} finally {
  await client.drain();
}
