"""The entry to the Python API: a market, as one account sees it."""

import sys
from collections.abc import Callable
from getpass import getpass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fedpact.api.evaluation import evaluation_of
from fedpact.api.proposal import Proposal, propose
from fedpact.api.provider import Provider
from fedpact.api.registrar import Registrar
from fedpact.api.request import Request, number_of
from fedpact.closing import Closing
from fedpact.errors import InvalidInput
from fedpact.requester.amount import amount_in
from fedpact.requester.draft import Draft
from fedpact.requester.usual_terms import usual_pay
from fedpact.session import Session
from fedpact.types.paths import path_of
from fedpact.types.schema import DataSchema

if TYPE_CHECKING:
    from fedpact.audit import AuditReport
    from fedpact.settings import Settings


class Market(Closing):
    """The contracts of one deployment, and the account that acts there.

    Made by `connect`. Use it from one thread only. What needs the account's key asks for its
    password on first use. Leaving a `with` block, or `close`, ends the connections.
    """

    def __init__(self, session: Session) -> None:
        """`session`: as the commands have it; see `connect`."""
        self._session = session
        _ = session.client

    @property
    def settings(self) -> "Settings":
        """What `connect` found: file, environment, arguments."""
        return self._session.settings

    @property
    def account(self) -> str:
        """The account's address. Raises SettingsError if none is set."""
        return self._session.address()

    @property
    def first_models(self) -> Path:
        """Folder of the first models that this account's programs publish."""
        return self._session.requester.first_models

    def request(
        self,
        schema: DataSchema | Proposal | Draft | Path | str,
        evaluation: Any,
        *,
        pay: str,
        epsilon: float | None = None,
        label: str | None = None,
        queries: Path | str | None = None,
        **fields: Any,
    ) -> Request:
        """Publish a request and pay its escrow.

        `schema`: which data are asked for: a provider's published schema, or a file of one
        (`fedpact data doctor` drafts it from a table). The rest of the draft is proposed
        (`Draft.proposed`) for `epsilon`, the privacy of each provider's unit over the whole
        request, and starts from the evaluation set's shares of the labels, which are public then.
        Or what `propose` returned, or a `Draft`: either says all of it.
        `evaluation`: the examples that models are judged by: a data frame, the `Path` of a file, or
        `(x, y)` with arrays or texts; values are as in the data, not scaled. Nobody sees them
        before their round. `label`: the column of labels, by default the schema's or the
        proposal's, "label" with a `Draft`.
        `pay`: an amount such as "0.5 ether", or of the draft's token. `queries`: a file whose
        digest is published, to show later that they were asked. `fields` replace those of the
        draft: `rounds=5`, `output="torque"`, `windows={"join": 60}`.

        If interrupted, the same call continues where it stopped; nothing is paid twice. Raises
        SpecificationError, DataError, PrivacyError or InvalidInput before anything is paid,
        Reverted, UnfundedAccount.
        """
        draft, column = _draft(schema, epsilon, fields)
        requester = self._session.requester
        payment = amount_in(requester.currency(draft), pay)
        asked, examples = evaluation_of(draft, evaluation, label or column)
        if not isinstance(schema, Draft | Proposal):
            asked = asked.with_priors(examples.y)
        file = None if queries is None else path_of("queries", queries)
        return Request(self._session, requester.create(asked, examples, payment, queries=file))

    def propose(
        self,
        schema: DataSchema | Path | str,
        evaluation: Any,
        *,
        epsilon: float,
        units: int | None = None,
        label: str | None = None,
        family: str | None = None,
        **fields: Any,
    ) -> Proposal:
        """A draft for `request`, and what its model can be expected to be worth; pays nothing.

        Family, training and rounds are the best, in a simulation on the evaluation set, of those
        that suit data and `epsilon`; windows follow from the chain's blocks, the usual pay from
        earlier requests. `units`: privacy units that each provider is expected to have, by default
        the schema's. `family`: one of the families tried. Other arguments are as in `request`.
        Raises SpecificationError, DataError, PrivacyError; `Proposal.check` raises PrivacyError for
        a request that cannot be expected to reach anything.
        """
        declared, client = _declared(schema), self._session.client
        return propose(
            client,
            declared,
            evaluation,
            epsilon,
            usual=usual_pay(client),
            units=units,
            label=label,
            family=family,
            fields=fields,
        )

    def requests(self, *, everybody: bool = False) -> list[Request]:
        """This account's requests, or everybody's, oldest first."""
        account = None if everybody else self.account
        numbers = self._session.client.market.numbers_of(account)
        return [Request(self._session, number) for number in numbers]

    def request_by_id(self, request_id: int) -> Request:
        """A request by its number, to follow it or to fetch its model. Raises UnknownRequest,
        InvalidInput for what is no number."""
        found = Request(self._session, number_of(request_id))
        _ = found.progress
        return found

    def audit(self, request_id: int, *, sealed: bool = False) -> "AuditReport":
        """Recompute a request from the chain and the content store alone.

        `sealed`: open the models too, with the keys of the account; it must be a member of the
        request or an auditor that the specification names. Raises UnknownRequest.
        """
        return self._session.audit(number_of(request_id), sealed=sealed)

    @property
    def provider(self) -> Provider:
        """The account as a provider."""
        return Provider(self._session)

    @property
    def registrar(self) -> Registrar:
        """The account as the registrar; its list of participants is open to everybody."""
        return Registrar(self._session)

    def close(self) -> None:
        """End the connections to nodes and stores."""
        self._session.close()

    def __repr__(self) -> str:
        here = self._session.client.deployment
        account = self._session.settings.account
        return f"Market({here.market} on chain {here.chain_id}, account {account})"


def connect(
    config: Path | str | None = None,
    *,
    prompt: Callable[[str], str] | None = None,
    **settings: Any,
) -> Market:
    """The market of the deployment file, once a node has answered and holds its contracts.

    `config` is the settings file, by default ./fedpact.toml, else ~/.config/fedpact/config.toml;
    `settings` replace those of the file and of FEDPACT_* variables (`account="alice"`,
    `endpoint="http://127.0.0.1:8545"`, `deployment=Path(...)`). The account's key comes from the
    key store, its password from the password file, FEDPACT_PASSWORD, or `prompt`, which is called
    with the question; by default an interactive session asks, and any other raises KeyStoreError.
    Raises SettingsError, DeploymentError, NodeUnreachable, and InvalidInput for a
    `config` that is no path.
    """
    if prompt is None and hasattr(sys, "ps1"):  # also in a notebook
        prompt = _typed
    file = None if config is None else path_of("config", config)
    return Market(Session(file, settings, prompt))


def _typed(question: str) -> str:
    return getpass(f"{question}: ")


def _draft(
    schema: DataSchema | Proposal | Draft | Path | str,
    epsilon: float | None,
    fields: dict[str, Any],
) -> tuple[Draft, str | None]:
    """The draft, and the column of labels where more than a draft is given."""
    if isinstance(schema, Draft | Proposal):
        if epsilon is not None:
            raise InvalidInput("epsilon: the draft says it already, in its table privacy")
        if isinstance(schema, Draft):
            return schema.changed(**fields), None
        return schema.draft.changed(**fields), schema.label
    if epsilon is None:
        raise InvalidInput(
            "epsilon: say how private the request is, such as epsilon=2; a Draft may ask for none"
        )
    declared = _declared(schema)
    return Draft.proposed(declared, epsilon, **fields), declared.label_column


def _declared(schema: DataSchema | Path | str) -> DataSchema:
    if isinstance(schema, DataSchema):
        return schema
    if isinstance(schema, Path | str):
        return DataSchema.read(schema)
    raise InvalidInput(
        f"schema: a DataSchema or the path of a file is needed, not {type(schema).__name__}"
    )
