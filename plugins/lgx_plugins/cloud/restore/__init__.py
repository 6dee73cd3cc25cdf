"""The sink of `cloud`: threads rebuilt on another server, through its API.

sink        the order of things            config, naming, graphs
writing     one thread, until it stands    label, holdings, conflicts, target
extras      what belongs to the deployment
"""
