"""Handlers of agent mail."""
