"""A notice as a POST."""

from typing import Final, NamedTuple

import msgspec
import requests

from modeltrail_collector.alerts.notices import Notice, payload
from modeltrail_collector.answers.rules import Webhook, filled, seconds

LONGEST_WAIT_MS: Final = 300_000

_LATER: Final = frozenset({408, 425, 429})
"""Answers that are no to a request now, and not to what it says."""


class Refused(NamedTuple):
    """Why a notice was not taken; `for_good` where the webhook answers and says no to this one."""

    problem: str
    for_good: bool = False


def post(hook: Webhook, notice: Notice) -> Refused | None:
    """Post a notice; None when it was taken (2xx). A problem does not name the URL: it may be a secret."""
    headers = {
        "Content-Type": "application/json",
        "User-Agent": "modeltrail",
        "Idempotency-Key": notice.id,
        **{name: filled(value) for name, value in hook.headers.items()},
    }
    try:
        with requests.post(
            filled(hook.url),
            data=msgspec.json.encode(payload(notice)),
            headers=headers,
            timeout=seconds(hook.timeout),
            allow_redirects=False,  # a POST that is redirected becomes a GET, and nobody has heard of it
            stream=True,  # its answer is of no interest
        ) as answer:
            code = answer.status_code
            if 200 <= code < 300:
                return None
            return Refused(f"it answered {code}", 400 <= code < 500 and code not in _LATER)
    except requests.Timeout:
        return Refused(f"no answer within {hook.timeout}")
    except (requests.RequestException, ValueError) as error:
        return Refused(type(error).__name__)


def wait_ms(failures: int) -> int:
    """How long a webhook that failed so often in a row is left alone: 1 s, 2 s, 4 s, … 5 minutes."""
    return min(1000 << min(failures - 1, 20), LONGEST_WAIT_MS)
