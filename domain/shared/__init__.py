"""Values, errors and limits that every context uses."""
