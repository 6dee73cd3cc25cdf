"""States of a checkpointer's threads, as LangGraph's API would show them, out of its rows.

    form.choose(query, context)  # in `list`
    return form.of(self._rows(refs, context))  # as `read`

Nothing but the rows is looked at: no graph, no class, no database. They may be in either form,
whole or split. What the rows do not tell is left out; of the first two the end of each thread that
has them says so, and a note of the run tells of the next two:

- what the reducer of a `DeltaChannel` makes of its writes, where no kept value shows it;
- updates that came with a command, which LangGraph applies when it reads;
- the empty value that a channel with a reducer has before anything was written to it: it is in no
  row, and absent here;
- the order of parallel nodes in the graph: `next` and `tasks` have them by name, as LangGraph
  runs them;
- that a node has a subgraph, as long as none has run there: `checkpoint` of its tasks is null;
- that a channel is a `Topic`: an empty one is an empty list here, where a graph shows nothing; and
  of graphs that are built of channels by hand, nodes that it starts are due then, too.
"""

from __future__ import annotations

from lgx_plugins.checkpointers.state.contents import PATHLESS
from lgx_plugins.checkpointers.state.reading import STATE_KINDS, Form, states

__all__ = ["PATHLESS", "STATE_KINDS", "Form", "states"]
