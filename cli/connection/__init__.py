"""Find the service, the key and the agent, and call the API."""
