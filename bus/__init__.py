"""NATS integration: subjects, auth callout, embedded server, outbox relay and command requests."""
