"""The engine: plans a run, moves its threads, reports what became of them.

plan        the components, made and checked      extras          what belongs to no thread
intake      list, held, read                      requests, rate  retries, once for all
gathering   one thread on its way to its spool    run_context     what plugins are lent
passage     one thread on its way to the sink     tally           every thread counted once
treatment   transforms and validators             pipeline        one run, all of it
admission   what a violation costs                stop            ending it early
delivery    batches into the sink                 connecting      which side is not heard
"""

from __future__ import annotations

from lgx.engine.pipeline import carry_out, execute
from lgx.engine.stop import Stop

__all__ = ["Stop", "carry_out", "execute"]
