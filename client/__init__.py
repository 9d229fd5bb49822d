"""What an agent imports to take part: it needs the base install and nothing of the server."""
