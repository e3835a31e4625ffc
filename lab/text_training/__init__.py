"""Text collections and what one run over them gives: shared by the studies of texts."""
