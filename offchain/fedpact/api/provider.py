"""The account as a provider: what its daemon needs, did, earned and spent."""

from pathlib import Path
from typing import TYPE_CHECKING

from fedpact.api.request import number_of
from fedpact.types.paths import path_of

if TYPE_CHECKING:
    from fedpact.privacy.ledger.report import LimitStanding
    from fedpact.provider.claim import Payment
    from fedpact.provider.ledger.report import PrivacySpent
    from fedpact.provider.overview import RequestStanding
    from fedpact.provider.serve import ServedFiles
    from fedpact.provider.startup_checks import Problem
    from fedpact.session import Session


class Provider:
    """What `fedpact provider` does, for the account of a market (`Market.provider`)."""

    def __init__(self, session: "Session") -> None:
        self._session = session

    def serve(
        self,
        data: Path | str | None,
        policy: Path | str,
        *,
        schema: Path | str | None = None,
        dry_run: bool = False,
    ) -> None:
        """Run the daemon until it is stopped (Ctrl-C, SIGTERM): join requests that the policy
        allows, train, vote, lead, get paid.

        `data`: None for the data sets that the policy lists.
        `schema`: what of the data is public, by default DATA.schema.toml beside them. `dry_run`:
        decide and log, and send, store and charge nothing. Raises SettingsError with all that is
        missing before anything is served, DataError for a schema that cannot be read.
        """
        from fedpact.provider.serve import rehearse, serve

        run, offer = (rehearse if dry_run else serve), _offer(data, policy, schema)
        run(self._session.settings, self._session.keys, offer)

    def check(
        self, data: Path | str | None, policy: Path | str, *, schema: Path | str | None = None
    ) -> "list[Problem]":
        """Look at everything that serving needs: keys, nodes, admission, store, data, ledger, disk
        and clock. Nothing is sent or changed; a daemon may be running."""
        from fedpact.provider.preflight import Preflight

        offer = _offer(data, policy, schema)
        return Preflight(self._session.settings, lambda: self._session.keys, offer).run()

    def requests(self) -> "list[RequestStanding]":
        """The requests that the daemon has seen, with its decisions, and what can be claimed."""
        from fedpact.provider.overview import standing

        at = self._session
        return standing(at.client, at.settings.state, at.address())

    def claim(self, request_id: int) -> "list[Payment]":
        """Settle a request that is due and take out this account's pay; the daemon does this by
        itself. Raises UnknownRequest, InvalidInput without a place in its pool, NotReady if nothing
        is due."""
        from fedpact.provider.claim import claim

        return claim(self._session.client, self._session.keys, number_of(request_id))

    def privacy_spent(self, delta: float = 1e-5) -> "PrivacySpent":
        """What the most charged privacy unit has spent, and on how many releases. Raises NotReady
        if nothing was released from here, LedgerError for a ledger that cannot be read."""
        from fedpact.provider.ledger.report import privacy_spent

        return privacy_spent(self._session.settings.state, self._session.keys, delta)

    def privacy_left(self, policy: Path | str, *, of: str | None = None) -> "LimitStanding":
        """What is left of the most charged unit's lifetime budget under a policy, or of that of one
        of the data sets that it lists, by name. Raises as `privacy_spent`, and SettingsError for a
        name that it does not list."""
        from fedpact.privacy.lifetime_budget import PrivacyLimit
        from fedpact.provider.data_sets import listed, one_of
        from fedpact.provider.ledger.report import privacy_standing
        from fedpact.provider.policy import Policy

        allowed, at = Policy.read(path_of("policy", policy)), self._session
        if allowed.data:
            one = one_of(listed(allowed, None, None), of)
            return privacy_standing(at.settings.state, at.keys, one.limit, one.schema.data_id)
        limit = PrivacyLimit(allowed.epsilon_lifetime, allowed.delta)
        return privacy_standing(at.settings.state, at.keys, limit)


def _offer(data: Path | str | None, policy: Path | str, schema: Path | str | None) -> "ServedFiles":
    from fedpact.provider.serve import ServedFiles

    at = None if data is None else path_of("data", data)
    declared = None if schema is None else path_of("schema", schema)
    return ServedFiles(path_of("policy", policy), at, declared)
