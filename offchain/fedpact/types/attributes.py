"""Merkle tree over the salted attributes of a data profile.

Leaf and node hashes differ in their first byte, so that no node can pose as a leaf (RFC 6962,
section 2.1). Siblings are sorted before hashing, so that a proof needs no positions.
Mirrors contracts/libraries/AttributeTree.sol.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from eth_abi.abi import encode
from eth_utils.crypto import keccak

from fedpact.errors import InvalidInput

_LEAF = b"\x00"
_NODE = b"\x01"


@dataclass(frozen=True)
class Attribute:
    """One attribute; each field is 32 bytes. The salt hides the value from guessing."""

    name: bytes
    value: bytes
    salt: bytes

    def leaf(self) -> bytes:
        """keccak256(0x00 || abi.encode(name, value, salt))."""
        fields = [self.name, self.value, self.salt]
        if any(len(field) != 32 for field in fields):
            raise InvalidInput("name, value and salt of an attribute are 32 bytes each")
        return keccak(_LEAF + encode(["bytes32"] * 3, fields))


class AttributeTree:
    """The tree over a profile's attributes, in the given order; an odd last node moves up as is.

    Raises:
        InvalidInput: no attributes, or a field that is not 32 bytes.
    """

    def __init__(self, attributes: Sequence[Attribute]) -> None:
        self._build([attribute.leaf() for attribute in attributes])

    @classmethod
    def of_leaves(cls, leaves: Sequence[bytes]) -> "AttributeTree":
        """The tree over leaf hashes, some of which may be of hidden attributes."""
        if any(len(leaf) != 32 for leaf in leaves):
            raise InvalidInput("leaves of an attribute tree are 32 bytes each")
        tree = cls.__new__(cls)
        tree._build(list(leaves))
        return tree

    def _build(self, level: list[bytes]) -> None:
        if not level:
            raise InvalidInput("an attribute tree needs at least one attribute")
        self._levels = [level]
        while len(level) > 1:
            pairs = [level[i : i + 2] for i in range(0, len(level), 2)]
            level = [_node(*pair) if len(pair) == 2 else pair[0] for pair in pairs]
            self._levels.append(level)

    @property
    def root(self) -> bytes:
        """32 bytes that the registry stores for the profile."""
        return self._levels[-1][0]

    def proof(self, index: int) -> list[bytes]:
        """Siblings of attribute `index` from the leaf up.

        Raises:
            InvalidInput: no such attribute.
        """
        if not 0 <= index < len(self._levels[0]):
            raise InvalidInput(f"attribute {index} of {len(self._levels[0])} does not exist")
        siblings = []
        for level in self._levels[:-1]:
            if index ^ 1 < len(level):
                siblings.append(level[index ^ 1])
            index //= 2
        return siblings


def verify_attribute(root: bytes, attribute: Attribute, proof: Sequence[bytes]) -> bool:
    """Whether the attribute hashes up to `root` along `proof`."""
    digest = attribute.leaf()
    for sibling in proof:
        digest = _node(digest, sibling)
    return digest == root


def _node(a: bytes, b: bytes) -> bytes:
    return keccak(_NODE + min(a, b) + max(a, b))
