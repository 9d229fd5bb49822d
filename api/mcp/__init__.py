"""MCP over HTTP: one route, which serves the tools of agents."""
