"""The sink of `cloud`: threads rebuilt on another server, through its API.

sink         the order of things                config, graphs, naming, leftovers
writing      one thread, until it stands        jobs, conflicts, target, attempt, standing, threads
label        what is kept on the server         holdings
assistants, crons, store                        belongings
"""
