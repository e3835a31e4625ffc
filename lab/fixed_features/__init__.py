"""Study: linear models on scattering features under differential privacy."""
