"""Verifying: two places are compared by what they hold, or one is looked at by itself.

execution   one verification, all of it       comparison  both sides, thread by thread
spec        what is to be done                exact       a thread that was copied
reading     which source reads a side         replayed    the history of one that was rebuilt
sampling    some threads of many              own         the own record of one that was rebuilt
sides       both of them, read at once        extras      what belongs to the deployment
taking      a sink that keeps digests         excuses     what could not be otherwise
fingerprint a record as digests of its fields findings    what differs, in words
messages    what servers move within messages scope       what both sides have room for
marks       what lgx keeps on a server        report      what came of it
ledger      the digests of one side, on disk  listing     what differs, as it is reported
shapes      the names that records have, kept once
"""
