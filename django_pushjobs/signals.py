"""Facts, announced after the commit that made them true.

=========================  ========================================================
``push_request_submitted``  ``push_request``: the new :class:`~.models.PushRequest`
``push_request_finished``   ``request_id``: UUID; ``status``: the final :class:`~.states.Status`;
                            ``backend``: alias; ``counts``: dict of accepted, failed, dropped,
                            unknown
``push_request_canceled``   ``request_id``: UUID
=========================  ========================================================

The sender is always the model ``PushRequest``. Receivers run in the process that did the work,
the worker's among them; an exception of theirs is logged and changes nothing.
"""

from django.dispatch import Signal

push_request_submitted = Signal()
push_request_finished = Signal()
push_request_canceled = Signal()
