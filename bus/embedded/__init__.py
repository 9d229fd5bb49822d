"""nats-server as a supervised child process."""
