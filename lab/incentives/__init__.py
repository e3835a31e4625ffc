"""Study: who earns what, honestly or not, and whether training honestly is the best response."""
