"""Events by HTTP, as every OpenLineage client sends them: `POST /api/v1/lineage`, and batches.

What is asked is another matter, see `reading`.

::

    app: a request -> body: its bytes -> examine: what is to be kept of them -> commit: durable, in groups
                   -> inbox (a file of the log) or broker (a topic)

An event is acknowledged when it is durable, not before. What the judge makes of it decides the answer, never
whether the log gets it: there is one judge, and HTTP is one more way to it.
"""
