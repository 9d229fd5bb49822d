// One agent in JavaScript, with nothing but a NATS client. All that it knows is in the service's
// AsyncAPI document.
//
//     npm install nats
//     node plain_client.mjs user@example.com 10
//
// It registers, leases a contact, holds it for some seconds and says what it hears meanwhile. Where
// another agent holds the contact, it says who, and ends with code 3.

import { randomUUID } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { connect } from "nats";

const { QUORATE_NATS_URL, QUORATE_API_KEY, QUORATE_TENANT, QUORATE_AGENT_ID } = process.env;
const [contact, seconds] = process.argv.slice(2);
const ANSWER_MILLISECONDS_MAX = 5_000;

const client = await connect({
  servers: QUORATE_NATS_URL,
  token: QUORATE_API_KEY,
  inboxPrefix: `_INBOX_${QUORATE_TENANT}_${QUORATE_AGENT_ID}`, // Answers come here and nowhere else.
});

async function ask(operation, fields = {}) {
  const subject = `quorate.${QUORATE_TENANT}.cmd.${QUORATE_AGENT_ID}.${operation}`;
  const command = JSON.stringify({ ...fields, idempotencyKey: randomUUID() });
  const reply = await client.request(subject, command, { timeout: ANSWER_MILLISECONDS_MAX });
  if (reply.headers?.has("Nats-Service-Error-Code")) {
    throw Object.assign(new Error("refused"), { problem: reply.json() });
  }
  return reply.json();
}

function say(what, facts) {
  console.log(JSON.stringify({ what, ...facts }));
}

client.subscribe(`quorate.${QUORATE_TENANT}.agent.${QUORATE_AGENT_ID}.>`, {
  callback(error, message) {
    if (error) throw error;
    const notice = message.json();
    say(notice.type.replace("quorate.", ""), notice.data);
  },
});

try {
  const agent = await ask("register");
  say("registered", { agentName: agent.agentName, activeUntil: agent.activeUntil });
  const lease = await ask("acquireLease", { contactEmail: contact, intent: "an example" });
  say("holding", { contactEmail: lease.contactEmail, fence: lease.fence });
  await sleep(Number(seconds) * 1_000);
  await ask("releaseLease", { leaseId: lease.id });
  say("released", { contactEmail: lease.contactEmail });
} catch (error) {
  if (!error.problem) throw error;
  say("refused", error.problem);
  process.exitCode = error.problem.code === "lease_conflict" ? 3 : 1;
} finally {
  await client.drain();
}
