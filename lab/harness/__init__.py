"""Runs a study's cases, keeps their results, reports them."""
