"""Study: text classification, by family and privacy."""
