"""Run a program while holding a lease."""
