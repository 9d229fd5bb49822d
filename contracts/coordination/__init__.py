"""Requests, responses and operations of leases, the send gate and consensus."""
