"""Requests, responses and operations of agents, their settings, API keys and tenants."""
