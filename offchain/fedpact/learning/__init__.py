"""Model families, local training, aggregation rules, and what an update's norm can be."""
