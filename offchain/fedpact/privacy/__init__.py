"""Noise, what it costs, and the ledger that remembers what a provider has spent."""
