"""An ERC-20 token that a request pays in (ERC-20, with EIP-2612 permits where it has them)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from eth_abi.exceptions import DecodingError
from eth_account.messages import encode_typed_data

from fedpact.chain.abi import ContractFunction
from fedpact.chain.bindings.market import Permit
from fedpact.chain.connection import Connection
from fedpact.chain.keystore import AccountKeys
from fedpact.chain.records import BlockReference, Call
from fedpact.errors import DeploymentError, InvalidInput, Reverted
from fedpact.types.currency import ETHER_CURRENCY, Currency
from fedpact.types.requests import ETHER

LONGEST_SYMBOL = 12
MOST_DECIMALS = 77
"""10 to this power still fits 256 bits."""


def _function(name: str, inputs: tuple[str, ...], output: str) -> ContractFunction:
    given = [{"name": f"_{number}", "type": kind} for number, kind in enumerate(inputs)]
    outputs = [{"name": "", "type": output}]
    return ContractFunction({"type": "function", "name": name, "inputs": given, "outputs": outputs})


_FUNCTIONS = {
    one.name: one
    for one in (
        _function("symbol", (), "string"),
        _function("decimals", (), "uint8"),
        _function("balanceOf", ("address",), "uint256"),
        _function("allowance", ("address", "address"), "uint256"),
        _function("approve", ("address", "uint256"), "bool"),
        _function("name", (), "string"),
        _function("nonces", ("address",), "uint256"),
        _function("DOMAIN_SEPARATOR", (), "bytes32"),
    )
}


_VERSIONS = ("1", "2")
_PERMIT = {
    "Permit": [
        {"name": "owner", "type": "address"},
        {"name": "spender", "type": "address"},
        {"name": "value", "type": "uint256"},
        {"name": "nonce", "type": "uint256"},
        {"name": "deadline", "type": "uint256"},
    ]
}


class Token:
    """A token at an address. What it says of itself is not to be believed."""

    def __init__(self, connection: Connection, address: str) -> None:
        self.address = address
        self._connection = connection

    def currency(self) -> Currency:
        """Symbol and decimals. A symbol that is missing, long or not plain is replaced by the
        beginning of the address. Raises InvalidInput if this is no token."""
        try:
            decimals = int(self._view("decimals"))
        except (Reverted, DeploymentError) as error:
            raise InvalidInput(
                f"{self.address} is not an ERC-20 token that reports its decimals: {error}"
            ) from error
        if decimals > MOST_DECIMALS:
            raise InvalidInput(f"the token {self.address} has {decimals} decimals: too many")
        try:
            symbol = str(self._view("symbol"))
        except (Reverted, DeploymentError, InvalidInput):
            symbol = ""
        plain = symbol.isascii() and symbol.replace(".", "").replace("-", "").isalnum()
        if not plain or len(symbol) > LONGEST_SYMBOL or symbol.lower() in ("ether", "gwei", "wei"):
            symbol = self.address[:8]
        return Currency(self.address, symbol, decimals)

    def balance_of(self, account: str, block: BlockReference = None) -> int:
        """Raises Reverted, DeploymentError or InvalidInput if this is no token."""
        return int(self._view("balanceOf", account, block=block))

    def allowance(self, owner: str, spender: str) -> int:
        """What `spender` may still take from `owner`."""
        return int(self._view("allowance", owner, spender))

    def must_allow(self, owner: str, spender: str, amount: int) -> bool:
        """Whether `owner` must allow `spender` more before it can take an amount. Raises
        InvalidInput if the owner holds less."""
        held = self.balance_of(owner)
        if held < amount:
            unit = self.currency()
            raise InvalidInput(
                f"{owner} holds {unit.text(held)}, and {unit.text(amount)} is to be paid"
            )
        return self.allowance(owner, spender) < amount

    def approve(self, spender: str, amount: int) -> Call:
        """Let `spender` take up to `amount` from the sender."""
        return replace(self._function("approve", spender, amount), own=True)

    def permit(self, keys: AccountKeys, spender: str, amount: int, deadline: int) -> Permit | None:
        """A signed allowance for `spender` (EIP-2612); None if the token takes none, or signs for
        another domain than its name and version 1 or 2, and for a wallet, which has no key."""
        if keys.wallet is not None:
            return None
        try:
            name, nonce = self._view("name"), self._view("nonces", keys.address)
            separator = self._view("DOMAIN_SEPARATOR")
        except (Reverted, InvalidInput):
            return None
        allowance = {
            "owner": keys.address,
            "spender": spender,
            "value": amount,
            "nonce": nonce,
            "deadline": deadline,
        }
        for version in _VERSIONS:
            domain = {
                "name": name,
                "version": version,
                "chainId": self._connection.chain_id,
                "verifyingContract": self.address,
            }
            if encode_typed_data(domain, _PERMIT, allowance).header == separator:
                signature = keys.sign_typed(domain, _PERMIT, allowance)
                return Permit(deadline, signature[64], signature[:32], signature[32:64])
        return None

    def _function(self, name: str, *values: Any) -> Call:
        return Call(self.address, _FUNCTIONS[name].encode(values), 0, f"token.{name}")

    def _view(self, name: str, *values: Any, block: BlockReference = None) -> Any:
        """Raises InvalidInput for an answer that no such function gives."""
        [returned] = self._connection.read([self._function(name, *values)], block)
        try:
            return _FUNCTIONS[name].outputs.decode(returned)[0]
        except (DecodingError, ValueError) as error:
            raise InvalidInput(f"{self.address} answers {name} as no ERC-20 token does") from error


def currency_at(connection: Connection, token: str) -> Currency:
    """What a request's terms pay in; raises InvalidInput for an address that is no token."""
    return ETHER_CURRENCY if token == ETHER else Token(connection, token).currency()


def shown_currency(connection: Connection, token: str) -> Currency:
    """As `currency_at`, for lists of anybody's requests: amounts of what is no token are shown in
    its smallest unit, by the beginning of its address."""
    try:
        return currency_at(connection, token)
    except InvalidInput:
        return Currency(token, token[:8], 0)
