"""A plugin, which Airflow finds by itself: its processes load what an event needs before they fork.

Airflow forks a process for each event of a task, which would have to import kafka-python first. Nothing is
loaded unless Airflow's own events go through `modeltrail.KafkaTransport`.
"""

from typing import Any

from airflow.configuration import conf
from airflow.plugins_manager import AirflowPlugin

from modeltrail.guard import guarded


class ModeltrailPlugin(AirflowPlugin):  # type: ignore[misc]  # without types
    """See the module."""

    name = "modeltrail"

    @classmethod
    def on_load(cls, *_: Any, **__: Any) -> None:
        """Airflow has loaded its plugins in this process."""
        with guarded("loading what Airflow's events need"):
            if "modeltrail" in conf.get("openlineage", "transport", fallback=""):
                from modeltrail.transports import openlineage, producer  # noqa: F401

                producer.load()
