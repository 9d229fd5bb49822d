"""Use cases of sessions, tasks, schedules and presets."""
