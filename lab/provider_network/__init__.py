"""Providers' profiles and routing tables in memory: shared by the studies of lookups."""
