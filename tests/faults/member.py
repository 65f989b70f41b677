"""A collector to be killed: the product's own loop with small segments, so that it dies at every step."""

import sys

from modeltrail_collector.intake import kafka
from modeltrail_collector.pump import Limits
from modeltrail_collector.pump.run import Job, Stop, run

# A dead member is noticed after two seconds instead of ten, or the test would mostly wait.
kafka.CONSUMER_SETTINGS = {
    **kafka.CONSUMER_SETTINGS,
    "session_timeout_ms": 2000,
    "heartbeat_interval_ms": 300,
}

if __name__ == "__main__":
    servers, topic, log = sys.argv[1:]
    stop = Stop()
    stop.install()
    print("listening to signals", flush=True)
    limits = Limits(rows=60, age_s=0.15, poll_s=0.1, backoff_s=0.1)
    run(Job(kafka.Connection(servers, topic, "killed"), log, limits=limits), stop, lambda *_: None)
