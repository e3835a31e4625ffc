"""A request in one process: what demonstrations, tests and experiments simulate."""
