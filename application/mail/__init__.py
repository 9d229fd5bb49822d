"""Handlers of agent mail, and messages in the Internet format."""
