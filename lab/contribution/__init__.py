"""Study: whether pay follows what a provider contributes."""
