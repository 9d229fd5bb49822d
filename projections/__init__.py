"""Read models: tables that can always be rebuilt from the event log."""
