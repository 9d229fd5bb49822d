// Shows /asyncapi.json. The document is complete and valid, so it needs no parser: references are
// replaced by the objects that they name, and objects get the names that the component expects.
"use strict";

function nameObjects({ channels, operations, servers, components }) {
  for (const named of [channels, operations, servers, components.messages]) {
    for (const [name, value] of Object.entries(named)) {
      value["x-parser-unique-object-id"] = name;
    }
  }
  for (const [name, schema] of Object.entries(components.schemas)) {
    schema["x-parser-schema-id"] = name;
  }
}

function resolveReferences(root) {
  const resolved = new Set();
  const find = (pointer) =>
    pointer.slice(2).split("/").reduce((found, name) => found[name], root);
  const resolve = (value) => {
    if (value === null || typeof value !== "object") return value;
    if (typeof value.$ref === "string") return resolve(find(value.$ref));
    if (!resolved.has(value)) {
      resolved.add(value);
      for (const name of Object.keys(value)) value[name] = resolve(value[name]);
    }
    return value;
  };
  resolve(root);
}

// The component displays all messages of the channel of a reply. All replies have one channel, so each
// operation gets its own with its own messages; else the page would grow with their square.
function separateReplies({ operations }) {
  for (const { reply } of Object.values(operations)) {
    if (!reply?.messages) continue;
    const messages = Object.fromEntries(reply.messages.map((one) => [one.name, one]));
    reply.channel = { ...reply.channel, messages };
  }
}

async function show() {
  const response = await fetch("/asyncapi.json");
  const schema = await response.json();
  nameObjects(schema);
  resolveReferences(schema);
  separateReplies(schema);
  schema["x-parser-spec-parsed"] = true;
  schema["x-parser-api-version"] = 3;
  const config = { show: { errors: false }, sidebar: { showOperations: "byDefault" } };
  AsyncApiStandalone.render({ schema, config }, document.getElementById("asyncapi"));
}

show();
