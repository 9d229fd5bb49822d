"""Tenants, API keys, agents and their settings."""
