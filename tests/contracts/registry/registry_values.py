"""Values that the registry's tests share."""

KEY = b"\x01" * 32
PROFILE = b"\x02" * 32
ROOT = b"\x03" * 32
DELAY = 7 * 24 * 3600
"""Seconds between the announcement of a suspension and its first one."""
TOP_OF_INT = 2**256 - 1
