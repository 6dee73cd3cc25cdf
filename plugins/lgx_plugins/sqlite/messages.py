"""The view of messages: one row for each message of each thread's latest values."""

from __future__ import annotations

from lgx_plugins.sqlite.names import Names

__all__ = ["messages_view"]

# What a thread's values give if they are not an object with a list of messages, or if this
# SQLite cannot parse them (it stops at some depth of nesting): no rows, rather than an error
# that would take the whole view along.
_VALUES = """CASE WHEN json_valid(t."values") THEN
        CASE WHEN json_type(t."values", '$.messages') = 'array' THEN t."values" ELSE '{}' END
    ELSE '{}' END"""


def messages_view(n: Names) -> str:
    """Columns: thread_id, source_url, position, id, type, role, name, content, tool_calls,
    tool_call_id, message (its JSON).

    `content` is the text; of a list of blocks, the texts of its blocks, a line each. A text
    with half of a surrogate pair is no text for a client of SQLite; such a message is shown
    by its JSON, where the half is an escape, or not at all where it is a bare string.
    """
    return f"""CREATE VIEW {n("messages")} AS
SELECT thread_id, source_url, position,
    {_clean("id")}, {_clean("type")}, {_clean("role")}, {_clean("name")},
    CASE WHEN broken AND hex(content) GLOB '*ED[AB]*' THEN message ELSE content END AS content,
    tool_calls, {_clean("tool_call_id")}, message
FROM (
    SELECT t.thread_id, t.source_url, m.key AS position,
        {_field("id")}, {_field("type")}, {_field("role")}, {_field("name")},
        {_field("tool_calls")}, {_field("tool_call_id")},
        CASE m.type
            WHEN 'text' THEN m.value
            WHEN 'object' THEN CASE json_type(m.value, '$.content')
                WHEN 'array' THEN (
                    SELECT group_concat(CASE b.type
                        WHEN 'text' THEN b.value
                        WHEN 'object' THEN json_extract(b.value, '$.text') END, char(10))
                    FROM json_each(m.value, '$.content') AS b)
                ELSE json_extract(m.value, '$.content') END
            END AS content,
        CASE WHEN m.type IN ('object', 'array') THEN m.value END AS message,
        m.type = 'text' OR m.value GLOB '*\\u[dD][89a-fA-F]*' AS broken
    FROM {n("threads")} AS t, json_each({_VALUES}, '$.messages') AS m
)"""


def _field(name: str) -> str:
    return f"CASE m.type WHEN 'object' THEN json_extract(m.value, '$.{name}') END AS {name}"


def _clean(name: str) -> str:
    return f"CASE WHEN broken AND hex({name}) GLOB '*ED[AB]*' THEN NULL ELSE {name} END AS {name}"
