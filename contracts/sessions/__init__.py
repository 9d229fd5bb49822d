"""Operations on sessions, tasks, schedules and presets."""
