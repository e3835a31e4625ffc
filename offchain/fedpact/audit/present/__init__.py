"""The audit of requests of the second protocol."""
