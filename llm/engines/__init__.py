"""One module an engine: how its profile becomes a command line."""
