"""Audits of what a model family's noised releases reveal, with the product's local training."""
