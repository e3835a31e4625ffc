"""Requests with real daemons, chain and store, while what is around them fails (`make chaos`)."""
