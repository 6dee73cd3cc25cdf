"""What the tables of all checkpointers share: the two forms of a checkpoint and the ways between
them, the order of rows, digests, and what happens to a thread that stands in the target already.

A checkpoint is in *whole* form where one document holds it with the values of its channels
(SQLite), in *split* form where the values lie in rows of their own (PostgreSQL).
"""
