"""The laboratory: studies of fedpact, run on the same functions as the daemons."""
