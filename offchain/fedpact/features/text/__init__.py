"""Texts as vectors: terms, hashed bags of words, weighted context graphs, distances, clusters."""
