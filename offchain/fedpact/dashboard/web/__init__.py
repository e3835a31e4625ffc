"""The server: pages, JSON API, downloads and live updates. It only reads."""
