"""Read models of sessions, tasks, schedules and presets."""
