"""The audit of requests of the present protocol."""
