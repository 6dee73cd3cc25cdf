"""The view of messages: one row for each message of each thread's latest values."""

from __future__ import annotations

from lgx_plugins.postgres.names import Names

__all__ = ["messages_view"]


def messages_view(n: Names) -> str:
    """Columns: thread_id, source_url, position, id, type, role, name, content, tool_calls,
    tool_call_id, message (its JSON).

    `content` is the text; of a list of blocks, the texts of its blocks, a line each.
    """
    return f"""CREATE VIEW {n("messages")} AS
SELECT t.thread_id, t.source_url, m.number - 1 AS position,
    {_field("id")}, {_field("type")}, {_field("role")}, {_field("name")},
    CASE jsonb_typeof(m.value)
        WHEN 'string' THEN m.value #>> '{{}}'
        WHEN 'object' THEN CASE jsonb_typeof(m.value -> 'content')
            WHEN 'array' THEN (
                SELECT string_agg(CASE jsonb_typeof(b.value)
                    WHEN 'string' THEN b.value #>> '{{}}'
                    WHEN 'object' THEN b.value ->> 'text' END, E'\\n' ORDER BY b.number)
                FROM jsonb_array_elements(m.value -> 'content')
                    WITH ORDINALITY AS b (value, number))
            ELSE m.value ->> 'content' END
        END AS content,
    CASE jsonb_typeof(m.value) WHEN 'object' THEN m.value -> 'tool_calls' END AS tool_calls,
    {_field("tool_call_id")},
    CASE WHEN jsonb_typeof(m.value) IN ('object', 'array') THEN m.value END AS message
FROM {n("threads")} AS t
CROSS JOIN LATERAL jsonb_array_elements(
    CASE jsonb_typeof(t."values" -> 'messages') WHEN 'array' THEN t."values" -> 'messages'
    ELSE '[]' END) WITH ORDINALITY AS m (value, number)"""


def _field(name: str) -> str:
    return f"CASE jsonb_typeof(m.value) WHEN 'object' THEN m.value ->> '{name}' END AS {name}"
