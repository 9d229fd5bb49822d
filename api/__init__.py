"""HTTP: the composition root, routes, authentication, and problems as RFC 9457 states them."""
