"""Commands of other processes: one process writes the log, and the others send it commands."""
