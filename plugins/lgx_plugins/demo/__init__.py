"""`lgx demo`: a real LangGraph server on this machine, exported and looked at.

command        the command                      server, child  the server and its process
conversations  what the server is filled with   app            the graph that it runs
summary        what the export holds            output         the directory that it goes to
"""

from __future__ import annotations

from lgx_plugins.demo.command import demo

__all__ = ["demo"]
