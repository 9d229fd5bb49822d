"""The server process: options, composition root, HTTP server, leader tasks, metrics."""
