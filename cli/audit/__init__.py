"""Read exported and archived logs."""
