"""Tables, messages, JSON and exit codes."""
