"""Outbox relay: publish notifications, mirror the log to JetStream."""
