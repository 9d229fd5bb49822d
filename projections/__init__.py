"""What readers see: tables that can always be rebuilt from the log."""
