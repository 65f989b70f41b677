"""Reacts to each deployment, with kafka-python alone: python with_kafka.py [BOOTSTRAP_SERVERS [TOPIC]].

What was reacted to is committed: who starts it again goes on there. A kill between the two repeats what was
read last: no deployment is missed, one may be told of again, with the same run id. At least once.
"""

import signal
import sys
from contextlib import closing
from threading import Event

from deployment import deployment, react
from kafka import KafkaConsumer


def main(bootstrap_servers: str = "localhost:9092", topic: str = "openlineage.events") -> None:
    """React until Ctrl-C or SIGTERM: what was read is finished and committed first."""
    stop = Event()
    for name in (signal.SIGINT, signal.SIGTERM):
        signal.signal(name, lambda *_: stop.set())
    consumer = KafkaConsumer(
        topic,
        bootstrap_servers=bootstrap_servers,
        group_id="deployments",
        auto_offset_reset="earliest",
        enable_auto_commit=False,
        session_timeout_ms=10_000,  # who was killed is replaced after so long; by default 45 s
    )
    with closing(consumer):
        while not stop.is_set():
            read = consumer.poll(timeout_ms=1000)
            for records in read.values():
                for record in records:
                    if (found := deployment(record.value)) is not None:
                        react(found)
            if read:
                consumer.commit()


if __name__ == "__main__":
    main(*sys.argv[1:])
