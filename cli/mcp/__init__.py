"""`quorate mcp`: the tools of agents over standard input and output."""
