"""What a daemon may do for a request: a module each, and the table of which duty is due when."""
