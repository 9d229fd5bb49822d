"""Agent mail."""
