"""The quorate command: agent commands use the client, operator commands use the server code."""
