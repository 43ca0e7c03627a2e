"""Sockets, HTTP/1.1, HTTP/2, and where they may lead."""
