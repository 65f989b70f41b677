"""A Marquez for tests: see `server.marquez`."""
