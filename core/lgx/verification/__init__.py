"""Verifying: two places are compared by what they hold, or one is looked at by itself.

execution   one verification, all of it       comparison  both sides, thread by thread
spec        what is to be done                exact       a thread that was copied
reading     which source reads a side         replayed    the history of one that was rebuilt
sampling    some threads of many              history     that history on one side
sides       both of them, read at once        own         the own record of one that was rebuilt
forms       what can be compared at all       extras      what belongs to the deployment
taking      a sink that keeps digests         excuses     what could not be otherwise
identities  what tells records apart          findings    what differs, in words
fingerprint a record as digests of its fields scope       what both sides have room for
messages    what servers move within messages report      what came of it
marks       what lgx keeps on a server        listing     what differs, as it is reported
ledger      the digests of one side, on disk  entries     its threads and records
shapes      names of fields, each list once   choosing    how a side is asked for some threads
counterparts  which thread is compared with which
"""
