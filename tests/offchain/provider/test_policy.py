"""A provider's policy: what it declines, and how it says so."""

from pathlib import Path

import pytest

from fedpact.errors import PolicyRefusal, SettingsError
from fedpact.provider.policy import Policy
from fedpact.types.decline_reason import Reason
from fedpact.types.document import canonical_json
from fedpact.types.specification import Specification
from tests.support.summing import secure_specification

PAYMENT = 10**18


def specification(**changes: object) -> Specification:
    fields = {
        "title": "digits",
        "category": "handwriting",
        "labels": ["0", "1"],
        "features": {"shape": [4]},
        "family": {"name": "softmax-regression"},
        "local": {"steps": 2, "learning_rate": 0.5},
        "rounds": 2,
        "min_providers": 2,
        "max_providers": 4,
        "score": "contribution",
        "max_error": 5000,
        "privacy": {
            "mode": "sound",
            "epsilon": 4.0,
            "delta": 1e-5,
            "clipping_norm": 1.0,
            "noise_multiplier": 3.0,
        },
        "evaluation": [{"cid": "b", "sha256": "00", "examples": 5}] * 2,
        "initial_model": "b",
        "windows": dict.fromkeys(
            ("join", "start", "submit", "commit", "reveal", "propose", "deliver"), 60
        ),
    }
    return Specification.decode(canonical_json(fields | changes))


def check(policy: Policy, spec: Specification | None = None, **changes: int) -> None:
    given = {"payment": PAYMENT, "parameters": 100, "samples": 500, "epsilon": 4} | changes
    policy.check(spec or specification(), **given)


def test_a_ceiling_leaves_in_what_neither_helps_nor_harms() -> None:
    with pytest.raises(PolicyRefusal, match="a ceiling of 4999 is under 5000") as refused:
        check(Policy(), specification(max_error=4_999))
    assert refused.value.reason == Reason.CEILING
    check(Policy(check_ceilings=False), specification(max_error=1))
    # Of errors, a trial decides.
    check(Policy(), specification(score="model", max_error=1))


def test_accepts_a_request_within_all_limits() -> None:
    check(Policy(categories=("handwriting",), min_pay_per_round=PAYMENT // 8))


@pytest.mark.parametrize(
    ("policy", "changes", "reason", "said"),
    [
        (Policy(min_pay_per_round=PAYMENT // 8 + 1), {}, "pay of", "pay"),
        (Policy(min_pay_per_epsilon=PAYMENT // 16 + 1), {}, "wei for epsilon 4 is under", "pay"),
        (Policy(categories=("engines",)), {}, "category 'handwriting'", "category"),
        (Policy(families=("mlp",)), {}, "family 'softmax-regression'", "family"),
        (Policy(max_parameters=99), {}, "100 parameters are over 99", "size"),
        (Policy(max_steps_per_round=1), {}, "2 steps per round are over 1", "size"),
        (Policy(max_rounds=1), {}, "2 rounds are over 1", "size"),
        (Policy(min_window=61), {}, "window to commit of 60 s is under 61 s", "windows"),
        (Policy(min_samples=501), {}, "500 own samples are under 501", "samples"),
    ],
)
def test_declines_with_the_limit_that_is_passed(
    policy: Policy, changes: dict[str, int], reason: str, said: str
) -> None:
    with pytest.raises(PolicyRefusal, match=reason) as refused:
        check(policy, **changes)
    assert refused.value.reason == f"policy: {said}"


def test_each_window_in_which_a_member_acts_has_a_floor() -> None:
    """One of five seconds on slots of twelve took all models for nothing."""
    windows = dict.fromkeys(("start", "submit", "commit", "reveal", "propose"), 60)
    policy, others = Policy(min_window=60), {"join": 1, "deliver": 1}
    check(policy, specification(windows=windows | others))
    for one in windows:
        with pytest.raises(PolicyRefusal, match=f"window to {one} of 59 s"):
            check(policy, specification(windows=windows | others | {one: 59}))


def test_a_requester_has_a_reputation_too() -> None:
    policy = Policy(min_requester_reputation=4_000)
    policy.check_requester(4_000)
    with pytest.raises(PolicyRefusal, match="reputation of 3999 is under 4000") as refused:
        policy.check_requester(3_999)
    assert refused.value.reason == "policy: requester"


def test_declines_a_request_without_privacy_unless_allowed() -> None:
    plain = specification(privacy={"mode": "none"})
    with pytest.raises(PolicyRefusal, match="privacy mode none"):
        check(Policy(), plain)
    check(Policy(accept_without_privacy=True), plain)


def test_declines_a_papers_epsilon_unless_allowed() -> None:
    claimed = specification(
        privacy={"mode": "paper", "mechanism": "ddp-sgd", "epsilon": 0.1, "delta": 1e-5},
        local={"epochs": 3, "batch_size": 32, "learning_rate": 0.1},
    )
    reason = "mode paper is not accepted: its epsilon is claimed by the paper, not guaranteed"
    with pytest.raises(PolicyRefusal, match=reason):
        check(Policy(accept_without_privacy=True), claimed)
    check(Policy(accept_paper_privacy=True), claimed)


def test_reads_a_file_and_names_the_field_that_is_wrong(tmp_path: Path) -> None:
    path = tmp_path / "policy.toml"
    path.write_text('min_pay_per_round = 5\ncategories = ["a"]\n')
    assert Policy.read(path) == Policy(min_pay_per_round=5, categories=("a",))
    path.write_text("epsilon_lifetime = -1\n")
    with pytest.raises(SettingsError, match="epsilon_lifetime"):
        Policy.read(path)
    path.write_text("epsilon_livetime = 1\n")
    with pytest.raises(SettingsError, match="epsilon_livetime"):
        Policy.read(path)
    path.write_text("epsilon_lifetime = -1\nmax_rounds = 'many'\ncategory = 'a'\n")
    with pytest.raises(SettingsError, match=r"max_rounds: .*; epsilon_lifetime: .*; category: "):
        Policy.read(path)  # all at once, in the order of the fields
    with pytest.raises(SettingsError, match="No such file"):
        Policy.read(tmp_path / "none.toml")


@pytest.mark.parametrize("left", ["", "\n", "# Limits of our data.\n"])
def test_a_file_that_a_full_disk_cut_off_sets_no_defaults(left: str, tmp_path: Path) -> None:
    """Told to read it again, a daemon served any category, at no pay."""
    path = tmp_path / "policy.toml"
    path.write_text(left)
    with pytest.raises(SettingsError, match="sets no limit"):
        Policy.read(path)


def test_what_changed_is_told_by_the_limits_names() -> None:
    data = [{"name": "hall", "path": "/hall.csv", "policy": {"max_rounds": 5}}]
    before = Policy.model_validate({"min_pay_per_round": 5, "data": data})
    data = [{"name": "hall", "path": "/hall.csv", "policy": {"max_rounds": 6}}]
    after = Policy.model_validate({"categories": ["engines"], "data": data})
    assert after.changes_since(before) == [
        "min_pay_per_round: 5 -> 0",
        "categories: () -> ('engines',)",
        "data hall: its terms",
    ]
    assert after.changes_since(after) == []


def test_a_resold_result_is_declined_if_the_policy_says_so() -> None:
    resold = specification(resale={"price": 1})
    check(Policy(), resold)
    with pytest.raises(PolicyRefusal, match="resale of the result is not accepted"):
        check(Policy(accept_resale=False), resold)
    check(Policy(accept_resale=False))


TOKEN = "0x" + "aB" * 20


def test_takes_only_tokens_that_it_lists_for_the_least_pay_in_each() -> None:
    spec, given = specification(), {"parameters": 100, "samples": 500, "epsilon": 4.0}
    policy = Policy(tokens={TOKEN.lower(): 5}, min_pay_per_round=10**18)
    policy.check(spec, 40, token=TOKEN, **given)
    with pytest.raises(PolicyRefusal, match=f"pay of 4 units of {TOKEN} per round"):
        policy.check(spec, 39, token=TOKEN, **given)
    with pytest.raises(PolicyRefusal, match="which is not among"):
        policy.check(spec, 40, token="0x" + "01" * 20, **given)
    with pytest.raises(PolicyRefusal, match="is under 1000000000000000000"):
        policy.check(spec, 40, **given)


def test_an_epsilon_has_a_price_in_each_token_too() -> None:
    """A request that paid in a token got any epsilon for the least pay of a round."""
    spec, given = specification(), {"parameters": 100, "samples": 500, "epsilon": 4.0}
    prices = {"tokens": {TOKEN.lower(): 5}, "tokens_per_epsilon": {TOKEN: 100}}
    policy = Policy(min_pay_per_epsilon=1, **prices)
    policy.check(spec, 1600, token=TOKEN.lower(), **given)
    said = f"pay of 398 units of {TOKEN} for epsilon 4 is under 100 an epsilon"
    with pytest.raises(PolicyRefusal, match=said) as refused:
        policy.check(spec, 1599, token=TOKEN, **given)
    assert refused.value.reason == "policy: pay"


def test_a_price_in_ether_asks_for_one_in_each_token(tmp_path: Path) -> None:
    path = tmp_path / "policy.toml"
    tokens = f'[tokens]\n"{TOKEN}" = 5\n'
    path.write_text(f"min_pay_per_epsilon = 1\n{tokens}")
    with pytest.raises(SettingsError, match=f"say in tokens_per_epsilon what {TOKEN} must pay"):
        Policy.read(path)
    path.write_text(f'min_pay_per_epsilon = 1\n{tokens}[tokens_per_epsilon]\n"{TOKEN}" = 0\n')
    assert Policy.read(path).tokens_per_epsilon == {TOKEN: 0}
    path.write_text(tokens)
    assert Policy.read(path).tokens == {TOKEN: 5}
    path.write_text(f'[tokens_per_epsilon]\n"{TOKEN}" = 5\n')
    with pytest.raises(SettingsError, match=f"tokens_per_epsilon: {TOKEN} is not among tokens"):
        Policy.read(path)


@pytest.mark.parametrize("listed", ["tokens", "tokens_per_epsilon"])
def test_a_token_is_priced_once(listed: str) -> None:
    """Of two spellings of one address, in capitals or without, the price that came last counted."""
    prices = {"tokens": {TOKEN: 5}, "tokens_per_epsilon": {TOKEN: 5}}
    twice = prices | {listed: {TOKEN: 5, TOKEN.lower(): 0}}
    with pytest.raises(ValueError, match=f"{TOKEN.lower()} is listed twice"):
        Policy(**twice)


def test_secure_sums_are_an_owners_choice() -> None:
    """Their epsilon depends on other members."""
    asked = secure_specification()
    with pytest.raises(PolicyRefusal, match="secure sums are not accepted"):
        check(Policy(), asked)
    check(Policy(accept_secure_sums=True), asked)
    with pytest.raises(PolicyRefusal, match="secure sums of 2 honest members are under 3"):
        check(Policy(accept_secure_sums=True, min_honest=3), asked)
    check(Policy(min_honest=3))


def test_the_unanimous_rule_is_declined_unless_accepted() -> None:
    """One member that attests another model keeps all others unpaid: a requester's friend did."""
    asked = specification(approval_rule="unanimous")
    with pytest.raises(PolicyRefusal, match="the unanimous rule is not accepted") as refused:
        check(Policy(), asked)
    assert refused.value.reason == Reason.APPROVAL
    check(Policy(accept_unanimous=True), asked)
