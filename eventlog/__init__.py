"""The append-only log, its codec, and the one door by which a decision becomes a fact."""
