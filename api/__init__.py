"""The HTTP and NATS API: routes, authentication, strict parsing, and the API documents."""
