"""A request's report: one HTML file that needs no network, and its data as JSON.

view      what the report shows; pure
page      the file; pure
writing   puts all together
"""
