"""Commands that are made from the declarations of operations; see cli/commands/call.py."""
