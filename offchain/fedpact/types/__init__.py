"""Value types that all parts share; no I/O."""
