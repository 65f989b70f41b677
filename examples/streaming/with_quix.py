"""The same with Quix Streams, which keeps state: python with_quix.py [BOOTSTRAP_SERVERS [TOPIC]].

An event that was sent twice is reacted to once: Quix remembers which runs were seen, in RocksDB and a topic
of its own. A kill repeats what was done since the last checkpoint, at most 5 seconds of it.
"""

import sys

from deployment import Deployment, deployment, react
from quixstreams import Application, State


def is_new(found: Deployment, state: State) -> bool:
    """Whether nobody has reacted to it; from now on somebody has."""
    known = state.exists(found.run_id)
    state.set(found.run_id, value=True)
    return not known


def main(bootstrap_servers: str = "localhost:9092", topic: str = "openlineage.events") -> None:
    """React until Ctrl-C."""
    app = Application(bootstrap_servers, consumer_group="deployments-quix", auto_offset_reset="earliest")
    events = app.dataframe(app.topic(topic, key_deserializer="bytes", value_deserializer="bytes"))
    found = events.apply(deployment).filter(lambda each: each is not None)
    found.filter(is_new, stateful=True).update(react)
    app.run()


if __name__ == "__main__":
    main(*sys.argv[1:])
