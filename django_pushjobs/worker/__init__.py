"""A pre-forking RQ worker on gevent, in the order in which one would read it.

The process that supervises:

``supervisor``         forks the children, watches and replaces them; the standard library only

The life of one child:

``child``              the forked process: opens its own connections, beats, runs services, leaves
``gevent_worker``      the RQ worker: a loop that takes jobs and starts each in a greenlet
``resilient_worker``   its base: RQ's own records of an end, through an outage of Redis
``pool``               what the parts below may ask of the worker, and nothing else

One job, from its queue to the record of its end:

``intake``             when jobs are taken, and how an idle worker waits for one
``dequeuing``          takes up to 64 of them off their queues in one call
``taken``              what such a job is: started, unreadable, finished
``execution``          runs it in a greenlet, and deals with every way in which it can end
``coroutines``         runs it in a thread if it is a coroutine
``timeouts``           ends it when its time is up
``endings``            the exceptions that end it from outside
``recorder``           records up to 64 ends in one call
``scripts``            the Lua of these two calls
``keys``               the keys of RQ that it names

What goes on beside the jobs, each in a greenlet or thread of its own:

``housekeeping``       suspension, stray jobs, RQ's maintenance
``keepalive``          RQ's heartbeats of the worker and its jobs
``commands``           what RQ tells a worker over pub/sub: stop a job, shut down
``scheduler``          RQ's scheduler
``watchdog``           reports a job that blocks all others, and leaves its id to the arbiter

For those who operate it:

``siblings``           other workers of the same name, and the jobs of those that died
``vitals``             how busy and how large each child is, for ``pushjobs_workers``
``logs``               what the log looks like
``reloader``           ``--reload``, for development
"""
