"""Read models of the coordination context."""
