"""The contract between emitter and collector: facet schemas, the Avro record, the tables."""

from typing import Final

SCHEMA_BASE_URL: Final = "https://modeltrail.dev/schemas"
"""Where the schemas are published; a facet's `_schemaURL` starts with it."""
