"""Worlds of collectors, a broker, a store and everything that goes wrong, each played from one seed.

::

    seed ──plan──▶ actions ──world──▶ production code in greenlets ──oracle──▶ 0 lost, 0 twice, or a Failure
                               (processes, broker, store, clock)

Production code only: the pump's `turn`, the log, its maintenance, the judge, the intake of files. What is
simulated is what surrounds it: a process stops at every call of the store and every poll, and the plan says
who goes on, what comes of the call, who dies there, and what time it is. `python -m simulation` plays many.
"""
