"""Whether everything that serving needs is there: what a daemon looks at when it starts."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import StrEnum

from eth_account.messages import encode_typed_data

from fedpact.chain.client import ChainClient
from fedpact.chain.contract_wallets import MOST_GAS, may_act
from fedpact.chain.keystore import AccountKeys
from fedpact.chain.signed_messages import signed_digest
from fedpact.errors import DataError, FedpactError, Retryable
from fedpact.monitor.resources import LITTLE_WEI
from fedpact.privacy.ledger.ledger import Ledger
from fedpact.provider.data_sets import OwnData
from fedpact.provider.ledger.opening import introduce


class Level(StrEnum):
    """How much a finding matters."""

    OK = "ok"
    WARNING = "warning"
    PROBLEM = "problem"
    """A daemon does not start with it, or could not serve."""


@dataclass(frozen=True)
class Problem:
    """What was found of one thing."""

    name: str
    level: Level
    said: str
    passing: bool = False
    """Whether it may go away by itself, as a node that does not answer."""


Check = Callable[[], Iterable[Problem] | None]


def found(name: str, check: Check) -> list[Problem]:
    """The findings of a check; "ok" if it has none, a problem if it fails."""
    try:
        findings = list(check() or ())
    except FedpactError as error:
        said = " ".join(str(error).split())
        return [Problem(name, Level.PROBLEM, said, isinstance(error, Retryable))]
    return findings or [Problem(name, Level.OK, "")]


def problem(name: str, said: str) -> Problem:
    return Problem(name, Level.PROBLEM, said)


def warning(name: str, said: str) -> Problem:
    return Problem(name, Level.WARNING, said)


def check_account(client: ChainClient, keys: AccountKeys) -> Iterable[Problem]:
    """Admission, encryption key and ether."""
    name = "account"
    participant = client.registry.participant(keys.address)
    if not participant.active:
        yield problem(
            name,
            f"account {keys.address} is not an active participant: register it (fedpact register)"
            " or ask the registrar",
        )
    elif participant.encryption_key != bytes(
        keys.encryption_key(participant.key_version).public_key
    ):
        yield problem(
            name, f"the encryption key registered for {keys.address} is not this account's"
        )
    if keys.wallet is not None:
        yield from _check_wallet(client, keys)
    balance = client.balance(keys.sender)
    if balance == 0:
        # It may be on its way, and requests that were joined before go on meanwhile.
        said = f"account {keys.sender} holds no ether to pay for transactions"
        yield Problem(name, Level.PROBLEM, said, passing=True)
    elif balance < LITTLE_WEI:
        yield warning(name, f"account {keys.sender} holds only {balance} wei")


def _check_wallet(client: ChainClient, keys: AccountKeys) -> Iterable[Problem]:
    """Whether the signer may sign and act for the wallet."""
    name = "wallet"
    typed = client.any_rounds.domain.typed("Accept", 0)  # the rounds take no such message
    digest = signed_digest(encode_typed_data(*typed))
    if client.wallets.look(keys.address, digest, keys.sign_typed(*typed)) is False:
        yield problem(
            name,
            f"{keys.address} is not a contract that accepts signatures of {keys.sender} as its own"
            f" (ERC-1271), or looking at one costs over {MOST_GAS} gas",
        )
    if not may_act(client.rpc, keys):
        yield problem(
            name,
            f"{keys.address} does not let {keys.sender} make calls for it (ERC-7821, `execute` in"
            " batch mode)",
        )


def check_records(served: OwnData, ledger: Ledger, *, new_data: bool) -> Iterable[Problem]:
    """Read a data set once, make it known to the ledger, and tell its owner how much of it the
    schema does not cover."""
    name, records, policy = served.shown, served.records, served.policy
    try:
        data = records.load()
    except DataError as error:
        last = records.last()
        if last is None:
            raise
        data = last
        yield warning(name, f"using the records as they were read last: {error}")
    introduce(ledger, data, served.name, new_data=new_data)
    if records.schema.units < policy.min_samples:
        yield warning(
            name,
            f"{records.schema.units} units are declared, under the policy's min_samples"
            f" ({policy.min_samples}): every sound request is declined",
        )
    misfits = data.misfits
    for count, why in (
        (misfits.unusable, "have a value that is not a finite number, and count as zero"),
        (misfits.undeclared_labels, "have a label that the schema lacks, and count as zero"),
        (misfits.outside, "have values outside their range, which count as its nearer end"),
        (misfits.beyond_unit, "are beyond examples_per_unit of their unit, and do not count"),
    ):
        if count:
            yield warning(name, f"{count} of {misfits.examples} examples {why}")
