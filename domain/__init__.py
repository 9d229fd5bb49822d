"""The rules: what may happen, and what follows. No clock, no I/O, no randomness."""
