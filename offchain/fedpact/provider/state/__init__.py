"""The daemon's checkpoint: what it has read of the chain, said and decided."""
