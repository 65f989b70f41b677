"""One turn of alerting: ask the rules, note what is new, deliver what waits.

::

    rules ──ask──▶ findings ──compare──▶ state + notices (saved) ──▶ log ──▶ stdout ──▶ webhooks
                                                  ▲                   each crossed off when it has it

A process that dies anywhere leaves notices that wait, and the next one goes on: the log takes each once,
stdout and webhooks get it at least once, with the same id.
"""

import logging
from collections import Counter
from collections.abc import Callable
from typing import Final

from modeltrail_collector.alerts.notices import Notice, seal
from modeltrail_collector.alerts.state import Firing, State, Target, kept
from modeltrail_collector.alerts.status import AlertsStatus
from modeltrail_collector.alerts.webhook import post, wait_ms
from modeltrail_collector.answers.firing import evaluate, summarised
from modeltrail_collector.answers.rules import Rules, Webhook
from modeltrail_collector.clock import rfc3339
from modeltrail_collector.errors import OwnershipLost
from modeltrail_collector.failpoints import reached
from modeltrail_collector.log import Log
from modeltrail_collector.log.kept import Kept
from modeltrail_schemas.words import counted

_logger = logging.getLogger(__name__)

LOG: Final = "log"
STDOUT: Final = "stdout"


class Alerting:
    """The rules of one file over one log, turn by turn."""

    def __init__(self, log: Log, rules: Rules, tell: Callable[[Notice], None]) -> None:
        self._log = log
        self._rules = rules
        self._tell = tell
        self.status = AlertsStatus()

    def turn(self) -> int:
        """Ask and deliver; how many events were sealed in the log.

        Raises:
            Unavailable: The store cannot be reached; what waits is delivered by a later turn.
        """
        sealed = 0
        try:
            with kept(self._log) as keep:
                self._note(keep.state)
                keep.save()
                reached("alerts_noted")
                sealed = self._to_log(keep)
                self._to_stdout(keep)
                for hook in self._rules.webhook:
                    self._to_webhook(keep, hook)
                self._show(keep.state)
        except OwnershipLost as error:
            _logger.warning("%s: it goes on with the alerts", error)
        return sealed

    def _note(self, state: State) -> None:
        """Compare what rules find with what fires: each difference is a notice; failed rules change none."""
        found = evaluate(self._log, self._rules)
        for name, problem in found.failed.items():
            self.status.rule_failures[name] += 1
            _logger.error("rule %s cannot be asked: %s", name, problem)
        now_ms = self._log.wall()
        now = rfc3339(now_ms)
        self.status.evaluated_at = now_ms / 1000
        targets = [LOG, STDOUT, *(hook.name for hook in self._rules.webhook)]
        current = {one.key: one for one in summarised(found.findings)}
        for key, one in current.items():
            if key not in state.firing:
                time = state.ended.pop(key, 0) + 1
                state.firing[key] = Firing(one, time, now)
                state.notices.append(Notice("firing", one, time, now, now, list(targets)))
        for key, was in list(state.firing.items()):
            if key not in current and was.finding.rule not in found.failed:
                del state.firing[key]
                state.ended[key] = was.time
                state.notices.append(Notice("resolved", was.finding, was.time, was.since, now, list(targets)))
        for notice in state.notices:  # a webhook that is not in the file any more will not be asked
            notice.waiting = [name for name in notice.waiting if name in targets]
        state.notices = [notice for notice in state.notices if notice.waiting]

    def _to_log(self, keep: Kept[State]) -> int:
        waiting = [notice for notice in keep.state.notices if LOG in notice.waiting]
        if not waiting:
            return 0
        sealed = seal(self._log, waiting)
        reached("alerts_sealed")
        for notice in waiting:
            self._delivered(keep.state, notice, LOG)
        keep.save()
        return sealed

    def _to_stdout(self, keep: Kept[State]) -> None:
        waiting = [notice for notice in keep.state.notices if STDOUT in notice.waiting]
        for notice in waiting:
            self._tell(notice)
            self._delivered(keep.state, notice, STDOUT)
        if waiting:
            reached("alerts_told")
            keep.save()

    def _to_webhook(self, keep: Kept[State], hook: Webhook) -> None:
        """Post what waits, in order; one that does not answer is left alone for a while, longer each time."""
        state = keep.state
        waiting = [notice for notice in state.notices if hook.name in notice.waiting]
        target = state.targets.get(hook.name, Target())
        if not waiting or self._log.wall() < target.retry_at_ms:
            return
        refused = None
        for notice in waiting:
            answer = post(hook, notice)
            if answer is None:
                reached("alert_posted")
                self._delivered(state, notice, hook.name)
                keep.save()
                continue
            refused = answer
            self.status.failures[hook.name] += 1
            if not answer.for_good:
                break
        if refused is None:
            state.targets.pop(hook.name, None)
        else:
            failures = target.failures + 1
            state.targets[hook.name] = Target(failures, self._log.wall() + wait_ms(failures))
            left = counted(
                sum(hook.name in notice.waiting for notice in state.notices), "notice", "waits", "wait"
            )
            _logger.warning("webhook %s: %s; %s", hook.name, refused.problem, left)
        keep.save()

    def _delivered(self, state: State, notice: Notice, target: str) -> None:
        notice.waiting.remove(target)
        self.status.delivered[target] += 1
        if not notice.waiting:
            state.notices.remove(notice)

    def _show(self, state: State) -> None:
        firing = Counter(one.finding.rule for one in state.firing.values())
        waiting = Counter(name for notice in state.notices for name in notice.waiting)
        self.status.firing = {rule.name: firing[rule.name] for rule in self._rules.rule}
        self.status.waiting = {hook.name: waiting[hook.name] for hook in self._rules.webhook}
