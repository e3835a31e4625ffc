"""Retrieval at scale: populations of providers, the daemon's code over them, what it is held to."""
