"""The sink of `cloud`: threads rebuilt on another server, through its API.

sink         the order of things                config, graphs, likeness, naming, leftovers
writing      one thread, until it stands        jobs, room, conflicts, threads
target       its building                       attempt, bodies, standing, marking
label        what is kept on the server         holdings, decoding
assistants, crons, store                        belongings, foreseen, items
"""
