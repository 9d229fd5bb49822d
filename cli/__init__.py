"""The quorate command: agents' verbs over the client, operators' verbs over the server."""
