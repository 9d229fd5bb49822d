"""Unit tests of the MCP server: tools, schemas, resources and prompts."""
