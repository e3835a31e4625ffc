"""Study: lookups among many simulated providers."""
