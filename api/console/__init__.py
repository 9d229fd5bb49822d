"""The console: live pages for operators, made from the operations of the API."""
