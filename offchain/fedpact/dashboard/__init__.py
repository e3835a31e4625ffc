"""What people see: a read-only web application over chain and content store.

index   the chain's events, in an SQLite file that can be rebuilt at any time
views   pure functions from events to typed views; pages, JSON and downloads all show these
web     the server: pages, API, downloads, live updates
"""
