"""Audit of requests of the first protocol, whose deployments are read and no longer made."""
