"""Wire models: requests, responses, problems and roles. Shared by every transport."""
