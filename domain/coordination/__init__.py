"""Leases, the send gate and consensus."""
