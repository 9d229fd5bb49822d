"""Agent sessions: durable histories, delegated tasks, shared task lists, schedules and policies."""
