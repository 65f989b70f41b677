"""What all tests share."""

pytest_plugins = ["kafka_broker"]
