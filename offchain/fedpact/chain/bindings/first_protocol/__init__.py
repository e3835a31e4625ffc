"""Contracts of the first protocol, for reading: `FirstClient` has them."""
