"""Experiments as configurations, run on the same pure functions as the daemons."""
