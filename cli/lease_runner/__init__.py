"""Run a program while a lease is held."""
