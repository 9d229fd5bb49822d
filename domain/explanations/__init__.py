"""Why something was decided: rules decide again from the log, and name what they need."""
