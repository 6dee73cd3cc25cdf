"""The engine: plans a run, moves its threads, reports what became of them.

plan        the components, made and checked      requests, rate  retries, once for all
intake      list, held, read                      run_context     what plugins are lent
gathering   one thread on its way to its spool    tally           every thread counted once
treatment   transforms and validators             pipeline        one run, all of it
delivery    batches into the sink                 stop            ending it early
"""

from __future__ import annotations

from lgx.engine.pipeline import carry_out, execute
from lgx.engine.stop import Stop

__all__ = ["Stop", "carry_out", "execute"]
