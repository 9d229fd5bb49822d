"""Process-level helpers without business terms: clock, locks, files, tasks."""
