"""The chain's events in an SQLite file, kept up to date, rebuilt from scratch at any time."""
