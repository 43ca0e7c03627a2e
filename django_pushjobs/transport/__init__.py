"""Sockets, HTTP/1.1, HTTP/2, and the destinations that they may reach.

The only room that opens connections to the outside. A backend of your own may use
:class:`.connections.Connections`, :class:`.origins.Origins` and :func:`.exchanges.exchange`.
"""
