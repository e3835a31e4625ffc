"""A provider's published profile, and what it reveals about the data."""
