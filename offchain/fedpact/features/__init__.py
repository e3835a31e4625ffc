"""Representations that learning and retrieval share."""
