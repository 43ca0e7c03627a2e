"""A pre-forking RQ worker on gevent.

``launcher`` sees to it that gevent patches first, ``arbiter`` forks and watches the children,
``child`` is the life of one of them, ``gevent_worker`` runs the jobs.
"""
