"""NATS: subjects, notifications out, commands in, the embedded server, who may subscribe to what."""
