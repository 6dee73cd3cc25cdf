"""PostgreSQL: threads as tables that people can query, and back.

    lgx run --source cloud --sink postgres --sink-dsn env:DATABASE_URL
    psql "$DATABASE_URL" -c 'SELECT thread_id, type, content FROM langgraph_messages'

`values` is a word of SQL: as a column PostgreSQL takes it with and without quotes, `t.values`.

A schema that exists keeps its other tables; lgx adds its own, under its prefix.
"""
