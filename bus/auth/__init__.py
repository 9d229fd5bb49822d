"""NATS authentication: callout, permissions, connections."""
