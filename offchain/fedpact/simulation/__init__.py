"""A request simulated in one process, for the demo, tests and experiments."""
