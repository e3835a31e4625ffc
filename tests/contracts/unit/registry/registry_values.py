"""Values that the registry's tests share."""

KEY = b"\x01" * 32
PROFILE = b"\x02" * 32
ROOT = b"\x03" * 32
UNIT = 10**15
TOP_OF_INT = 2**256 - 1
