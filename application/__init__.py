"""Use cases: admission, execution and one handler per operation. No transport is imported here."""
