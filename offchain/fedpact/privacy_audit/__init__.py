"""Audits of what a model family's noised releases tell, by the product's own local training."""
