"""Frozen public networks as feature extractors."""
