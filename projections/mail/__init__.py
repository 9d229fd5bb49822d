"""Read models of agent mail."""
