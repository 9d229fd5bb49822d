"""MCP: tools, resources and prompts for agents, made from the registry of operations."""
