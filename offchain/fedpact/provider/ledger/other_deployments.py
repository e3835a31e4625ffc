"""Submissions of the account in other deployments than the one that is served now.

The ledger is one for life. It keeps which deployments it has served with; each is also described in
the state folder, which outlives the loss of the ledger. Those on the chain that is served are
asked; others cannot be from here.
"""

import json
import logging
from dataclasses import asdict
from functools import cached_property
from pathlib import Path

from fedpact.chain.client import AnyClient, ChainClient, FirstClient
from fedpact.chain.connection import Connection
from fedpact.chain.deployment_file import read
from fedpact.content.fetching import Fetching
from fedpact.errors import ContentSought, DeploymentError, StorageUnavailable
from fedpact.privacy.ledger.ledger import Ledger
from fedpact.privacy.ledger.report import ReleaseId
from fedpact.provider.ledger import submissions
from fedpact.types.cid import Cid
from fedpact.types.deployment import Deployment, SecondDeployment
from fedpact.types.specification import SPECIFICATION_MAX_BYTES, Specification

log = logging.getLogger(__name__)

FILE = "deployment.json"


def remember(ledger: Ledger, folder: Path, deployment: Deployment) -> None:
    """Keep a deployment in the ledger, and in its own folder of the account's state."""
    facts = json.dumps(asdict(deployment), indent=2)
    with ledger.file.transaction() as db:
        db.execute(
            "INSERT OR REPLACE INTO deployments VALUES (?, ?)", (deployment.fingerprint, facts)
        )
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / FILE).write_text(facts + "\n")
    except OSError as error:
        raise StorageUnavailable(f"{folder / FILE}: {error.strerror}") from error


class Elsewhere:
    """The other deployments that the ledger, or the account's folder, knows."""

    def __init__(
        self, ledger: Ledger, folder: Path, served: Connection, fetching: Fetching
    ) -> None:
        """`folder`: of the account, with a folder for each deployment."""
        self._ledger, self._folder, self._served, self._fetching = ledger, folder, served, fetching

    def submissions(self, account: str) -> list[tuple[ReleaseId, bytes]]:
        """Of the account, as the chain has them now."""
        return [
            found for client in self._clients.values() for found in _submissions(client, account)
        ]

    def asked_for(self, release: ReleaseId) -> tuple[Specification, str]:
        """The specification of a release's request, and its requester.

        Raises DeploymentError for a deployment that is not known here, ContentSought while the
        specification is looked for.
        """
        client = self._clients.get(release.deployment)
        if client is None:
            raise DeploymentError(
                f"deployment {release.deployment.hex()} cannot be asked from here"
            )
        terms = client.market.terms(release.request)
        cid = Cid.of_digest(terms.specification, SPECIFICATION_MAX_BYTES)
        data = self._fetching.take(release[:2], cid, SPECIFICATION_MAX_BYTES)
        if data is None:
            raise ContentSought(f"looking for the specification {cid}")
        return Specification.decode(data), _requester(client, release.request)

    @cached_property
    def _clients(self) -> dict[bytes, AnyClient]:
        found: dict[bytes, AnyClient] = {}
        served = self._served
        for deployment in self._known():
            here = (deployment.chain_id, deployment.genesis_hash) == (
                served.chain_id,
                served.genesis_hash,
            )
            if deployment.fingerprint == served.deployment.fingerprint:
                continue
            if here:
                kind = ChainClient if isinstance(deployment, SecondDeployment) else FirstClient
                found[deployment.fingerprint] = kind(
                    served.rpc, served.chain_id, served.genesis_hash, deployment
                )
            else:
                log.info(
                    "submissions in the deployment with market %s are not compared: it is on"
                    " another chain",
                    deployment.market,
                )
        return found

    def _known(self) -> list[Deployment]:
        with self._ledger.file.reading() as db:
            kept = [facts for (facts,) in db.execute("SELECT facts FROM deployments")]
        for path in sorted(self._folder.glob(f"*/{FILE}")):
            try:
                kept.append(path.read_text(encoding="utf-8"))
            except (OSError, UnicodeDecodeError) as error:
                log.warning("%s: %s", path, error)
        found = {}
        for facts in kept:
            try:
                deployment = read(facts, "a deployment that was served")
            except DeploymentError as error:
                log.warning("%s", error)
                continue
            found[deployment.fingerprint] = deployment
        return list(found.values())


def _submissions(client: AnyClient, account: str) -> list[tuple[ReleaseId, bytes]]:
    if isinstance(client, ChainClient):
        return submissions.submissions(client, account)
    here = client.deployment.fingerprint
    found = client.rounds.submissions(account)
    return [(ReleaseId(here, request, round_), digest) for request, round_, digest in found]


def _requester(client: AnyClient, request: int) -> str:
    if isinstance(client, ChainClient):
        return client.market.request(request).requester
    return client.market.requester_of(request)
