"""The process that forks, watches and replaces the others: the standard library only.

``launcher`` starts the program with gevent patched first, ``options`` holds what the command was
asked to do, ``arbiter`` is the process itself. Of each of its ``children`` it watches the
``heartbeat`` and reads the ``exitcodes``, and it keeps systemd informed (``notify``).
"""
