"""The post office: takes OpenLineage events in, judges them, seals them into a log, and answers questions."""
