"""Personal models against what FedAvg and DLMU leave with a provider."""
