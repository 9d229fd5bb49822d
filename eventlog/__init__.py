"""The append-only event log: storage, serialization, and the command bus as its single writer."""
