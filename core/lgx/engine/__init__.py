"""The engine: plans a run, moves its threads, reports what became of them.

plan        the components, made and checked      requests, rate  retries, once for all
intake      list, held, read, spool               run_context     what plugins are lent
treatment   transforms and validators             tally           every thread counted once
delivery    batches into the sink                 pipeline        one run, all of it
"""

from __future__ import annotations

from lgx.engine.pipeline import execute
from lgx.engine.stop import Stop

__all__ = ["Stop", "execute"]
