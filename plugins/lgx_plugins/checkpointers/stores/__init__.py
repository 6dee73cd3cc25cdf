"""What the tables of LangGraph's stores share, in PostgreSQL and in SQLite: an item as they hold
it, its vectors, what becomes of one that stands in the target already, and what is told of it."""
