"""Addresses as they may be shown: a URL may carry a user and a password, and no message does."""

import re

_USER_INFO = re.compile(r"(?<=//)[^/@\s]*@")


def without_credentials(text: str) -> str:
    """`text` with the user and password of every URL in it cut out (RFC 3986, section 3.2.1)."""
    return _USER_INFO.sub("", text)
