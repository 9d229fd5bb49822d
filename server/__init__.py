"""The process: settings, composition root, uvicorn, leader tasks, metrics."""
