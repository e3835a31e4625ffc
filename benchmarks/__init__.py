"""Measurements whose results are kept in docs/; run one as `python -m benchmarks.NAME`."""
