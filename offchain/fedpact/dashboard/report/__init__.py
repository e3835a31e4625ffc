"""A request's report: one HTML file that needs no network, and its data as JSON.

sources   a request read from chain and store, without an index
view      what the report shows; pure
page      the file; pure
writing   puts all together
"""
