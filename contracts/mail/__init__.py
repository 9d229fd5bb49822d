"""Agent mail in the wire format of seed 002: its paths, its snake_case fields, its limits."""
