"""Trees as shared models: arrays, never pickles; forests, boosted trees, sound random splits."""
