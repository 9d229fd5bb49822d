"""Transports of the SDK: HTTP, NATS and failover between them."""
