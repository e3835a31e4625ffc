"""Study: models on the features of public networks under differential privacy."""
