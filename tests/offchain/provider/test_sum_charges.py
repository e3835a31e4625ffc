"""What a secure sum costs a daemon's ledger, and when its values may leave."""

from types import SimpleNamespace

import pytest

from fedpact.errors import LedgerError
from fedpact.exchange.messages import Kind
from fedpact.privacy.accounting import cost
from fedpact.privacy.releases import of_request
from fedpact.provider.duties.secure_sums import MASKED_UNTIL
from fedpact.provider.duties.submitting import publish_model, training_window, waiting_to_submit
from fedpact.provider.duties.training import training_time
from fedpact.types.cid import Cid
from tests.support.summing import (
    REQUEST,
    Tables,
    held,
    messages,
    until,
    with_submissions,
)


def test_a_failed_sum_is_charged(table_of: Tables) -> None:
    table = table_of()
    table.train()
    until(table, Kind.MASKED, range(4))
    table.run([0, 1], share=0.85)
    ledger = table.members[0].ledger
    ledger.end(table.members[0].release.deployment, REQUEST)
    once = of_request(table.spec.model_copy(update={"rounds": 1}))
    assert once is not None
    assert ledger.spent(1e-5).epsilon == pytest.approx(cost(once, 1e-5).epsilon)


def test_what_was_never_masked_is_refunded(table_of: Tables) -> None:
    table = table_of()
    table.train()
    ledger = table.members[0].ledger
    ledger.end(table.members[0].release.deployment, REQUEST)
    assert ledger.spent(1e-5).epsilon == 0


def test_who_submits_without_having_masked_is_refunded(table_of: Tables) -> None:
    """Its policy made it wait, and the others made the sum without it: it submits their sum's
    record, in which nothing is of its records."""
    table = table_of()
    table.train()
    member = table.members[3]
    member.waiting = "the policy waits"
    table.run(share=0.6)
    member.waiting = None
    table.run(share=0.72)
    assert member.digest is not None
    assert not held(table, 0, Kind.MASKED, 3)
    view = member.view()
    submitted = {"mask": 0b1000, "digests": ["0x" + member.digest.hex()]}
    view.events = with_submissions(view.events, submitted)
    view.in_mask = lambda mask: True
    view.facts = SimpleNamespace(history=table.history, submitted=0b1000)
    assert publish_model(view).reason == "published"
    member.ledger.end(member.release.deployment, REQUEST)
    assert member.ledger.spent(1e-5).epsilon == 0


@pytest.mark.parametrize("share", [0.0, 0.5, 0.9, 1.0])
def test_what_is_trained_in_time_is_masked_in_time(table_of: Tables, share: float) -> None:
    """Whatever the policy's `submit_after`: before the others agree without it."""
    view, window = table_of().members[0].view(), 1000
    view.ctx.policy = SimpleNamespace(submit_after=share)
    view.terms = SimpleNamespace(submit_window=window)
    view.phase_start = 0
    slowest = training_time(0, training_window(view))
    for kept_at in range(1, int(slowest) + 1, 10):
        for now in (int(MASKED_UNTIL * window) - window // 20, window):
            view.frame = SimpleNamespace(timestamp=now)
            assert waiting_to_submit(view, kept_at) is None


def test_while_a_model_waits_the_same_is_said_in_each_cycle(table_of: Tables) -> None:
    """The seconds that were left: each second a line in the log."""
    view = table_of().members[0].view()
    view.ctx.policy = SimpleNamespace(submit_after=0.5)
    view.terms = SimpleNamespace(submit_window=120)
    view.phase_start = 1_000_000_000
    said = set()
    for passed in (10, 11, 29):
        view.frame = SimpleNamespace(timestamp=view.phase_start + passed)
        said.add(waiting_to_submit(view, view.phase_start + 5))
    assert said == {"trained; submits at 01:47:16 UTC, as the policy's submit_after says"}


def test_a_mask_never_hides_two_values(table_of: Tables) -> None:
    """A ledger that lost its values, and trained again, masks nothing a second time."""
    table = table_of()
    table.train()
    until(table, Kind.MASKED, range(4))
    [vector] = [one.value for at, one in messages(table, 0).items() if at == (Kind.MASKED, 0)]
    member = table.members[0]
    member.kill()
    member.ledger.close()
    (member.folder / "privacy.db").unlink()
    member.open_files()
    member.trained(table.values[1])
    member.step()
    assert "masked its values for another sum" in member.said
    assert messages(table, 0)[Kind.MASKED, 0].value == vector
    assert (Kind.MASKED, 0) not in member.bus.boards[REQUEST, 1].contradictions


def test_a_ledger_replaces_values_once(table_of: Tables) -> None:
    table = table_of()
    table.train([0])
    member = table.members[0]
    stored = member.ledger.stored(member.release)
    assert stored is not None
    former = Cid.of(stored).digest
    assert member.ledger.replace(member.release, former, b"record") == b"record"
    assert member.ledger.replace(member.release, former, b"another") == b"record"
    unknown = member.release._replace(round=9)
    with pytest.raises(LedgerError):
        member.ledger.replace(unknown, former, b"record")
