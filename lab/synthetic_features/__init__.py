"""Study: private models on features that were learnt from made-up images alone."""
