"""The judge: bytes in, verdict out. Pure, and never raises for any value.

Its rules come from OpenLineage's schema as the installed client knows it (`derive`, `schema`) and from the
schemas of our own facets. A valid event is told by one pass over its bytes; only what that refuses is parsed
and taken apart (`reasons`), so that whoever sent it learns what to mend and where.
"""

from modeltrail_collector.judge import schema
from modeltrail_collector.judge.codes import Code, cause
from modeltrail_collector.judge.verdict import MAX_BYTES, MAX_DEPTH, MAX_KEYS, judge

__all__ = ["MAX_BYTES", "MAX_DEPTH", "MAX_KEYS", "Code", "cause", "judge", "judge_id"]


def judge_id() -> str:
    """Which rules gave a verdict: the judge's version, the OpenLineage client's, the schemas' digest.

    `judge/2 openlineage/1.54.0 schemas/9c1185a5c5e9fc54`; two records with equal bytes and equal ids have
    equal verdicts.
    """
    return f"judge/{schema.JUDGE_VERSION} openlineage/{schema.client_version()} schemas/{schema.digest()}"
