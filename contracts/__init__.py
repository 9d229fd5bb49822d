"""Wire models that all transports share: requests, responses, problems and roles."""
