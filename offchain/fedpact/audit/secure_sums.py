"""Check of secure sums: one for each group of a round, of enough members, the same to all."""

from collections.abc import Callable, Sequence

from fedpact.audit.pool_history import PoolHistory
from fedpact.audit.recomputing import Judged
from fedpact.audit.report import Unavailable, counted, require
from fedpact.consensus.secure_sum_record import GroupSum


class SumChecks:
    """`rounds`: as judged. An audit cannot see the parts: whether a member masked what it trained,
    and whether more members collude than the specification says, is taken on trust."""

    def __init__(self, history: PoolHistory, rounds: Callable[[], Sequence[Judged]]) -> None:
        self._history = history
        self._read = rounds

    def sums(self) -> str:
        """All records that counted as valid prove the sum of their group by signed agreements and
        opened shares: one sum a group, of at least the specification's honest members beside its
        colluders. Names who opened shares that were not dealt to it; the sum holds without them."""
        privacy = self._history.spec.privacy
        if privacy.sum is None:
            return "none asked for"
        self._history.require_key()
        tallied = [one for one in self._read() if one.tallied]
        if not tallied:
            raise Unavailable("no round was tallied")
        least, total = (privacy.honest or 0) + (privacy.colluders or 0), 0
        false: list[str] = []
        for one in tallied:
            groups: dict[int, GroupSum] = {}
            for seat in one.valid:
                found = self._history.group_sum(one.number, seat)
                if found is None:
                    continue  # `models` says so
                members = found.seats
                require(
                    len(members) >= least,
                    f"round {one.number}: the sum of seat {seat} is of {len(members)} members",
                )
                for member in members:
                    first = groups.setdefault(member, found)
                    require(
                        first.seats == members and (first.total == found.total).all(),
                        f"round {one.number}: two sums of the group of seat {seat} were opened",
                    )
            total += len({found.seats for found in groups.values()})
            liars = sorted({seat for found in groups.values() for seat in found.at_fault})
            false += [f"; round {one.number}: seat {seat} opened a false share" for seat in liars]
        return f"{counted(total, 'sum')} in {counted(len(tallied), 'round')}" + "".join(false)
