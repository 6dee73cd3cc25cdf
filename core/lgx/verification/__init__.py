"""Verifying: two places are compared by what they hold, or one is looked at by itself.

reading     which source reads a side                 execution   one verification, all of it
taking      a sink that keeps digests                 comparison  both sides, thread by thread
fingerprint a record as digests of its fields         exact       a thread that was copied
messages    what servers move within messages         replayed    a thread that was rebuilt
marks       what lgx keeps in a rebuilt thread        findings    what differs, in words
ledger      the digests of one side, on disk          scope       what both sides have room for
sides       both of them, read at once                sampling    some threads of many
report      what came of it                           joint       progress of both sides
"""
