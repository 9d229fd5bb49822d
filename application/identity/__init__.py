"""Handlers of tenants, API keys, agents and their settings."""
