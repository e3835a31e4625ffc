"""Where transactions, accounts and contents can be looked at."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Links:
    """Addresses to which figures link; methods give an empty one where there is nothing to show."""

    explorer: str = ""
    """Address of a block explorer, such as https://etherscan.io."""
    gateway: str = ""
    """Address of an IPFS gateway, such as http://127.0.0.1:8080."""
    pages: bool = True
    """Whether the dashboard's own pages are there: what neither of these shows links to them."""
    root: str = ""
    """Where these pages begin, such as /large; empty: at /."""
    others: str = ""
    """Where those of the other kind of rounds begin; empty: there are none."""

    def transaction(self, tx: str) -> str:
        return self._at(self.explorer, "/tx/", "/transaction/", tx)

    def content(self, cid: str) -> str:
        return self._at(self.gateway, "/ipfs/", "/content/", cid)

    def account(self, address: str) -> str:
        """Of a participant: its own page, before any explorer's."""
        return self._at("" if self.pages else self.explorer, "/address/", "/participants/", address)

    def _at(self, site: str, theirs: str, own: str, what: str) -> str:
        if site:
            return f"{site}{theirs}{what}"
        return self.root + own + what if self.pages else ""
