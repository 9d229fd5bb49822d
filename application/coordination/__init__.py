"""Handlers of leases, the send gate and consensus."""
