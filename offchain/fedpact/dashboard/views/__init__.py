"""What pages, JSON API and downloads show: typed views, made by pure functions."""
