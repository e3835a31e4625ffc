"""Text collections and training runs on them: shared by the studies of texts."""
