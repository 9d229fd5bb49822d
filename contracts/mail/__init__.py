"""Requests, responses and operations of agent mail."""
