"""The read API: what a client of Marquez browses with, in its shapes, and the answers of the command line.

::

    app: a request, its token, its tag -> readers: a thread with a handle on the tables
        -> seen: what this token may see -> jobs, runs, datasets, graph, columns, lists: Marquez's shapes
        -> asked: the answers

Everything is derived from the log; nothing can be written here. A token that is limited to namespaces sees
what a log would hold to which only the jobs of these namespaces had ever sent anything: it asks tables that
are made of their runs alone, so that no list, count or edge can tell of others.
"""

from modeltrail_collector.web.reading.app import routes

__all__ = ["routes"]
