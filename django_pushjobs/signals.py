"""Facts, announced after the commit that made them true.

The sender is always the model :class:`~.models.PushRequest`. Receivers run in the process that did
the work, often a worker; an exception of a receiver is logged and changes nothing.
"""

from django.dispatch import Signal

#: A push request was accepted.
#:
#: :param push_request: the new :class:`~.models.PushRequest`.
push_request_submitted = Signal()

#: A worker or the relay has ended a push request.
#:
#: :param request_id: :class:`~uuid.UUID`, the key of the push request.
#: :param status: the final :class:`~.states.Status`; *canceled* if it was running when somebody
#:     canceled it.
#: :param backend: string, the alias.
#: :param counts: dict of numbers of addresses: *total*, *accepted*, *failed*, *dropped*, *unknown*.
push_request_finished = Signal()

#: A push request was canceled while it was waiting.
#:
#: :param request_id: :class:`~uuid.UUID`, the key of the push request.
push_request_canceled = Signal()
