"""Facts, announced after the commit that made them true.

The sender is the model that it is about: :class:`~.models.PushRequest`, or
:class:`~.models.Pause`. Receivers run in the process that did
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

#: A backend, or an origin of it, is paused: the provider refuses our credentials or cannot be
#: reached. Sent once for each pause, by the relay.
#:
#: :param backend: string, the alias.
#: :param origin: string, which of its providers; empty if it is all of the backend.
#: :param client_id: the only client that it is paused for; 0 for everybody.
#: :param is_outage: whether it cannot be reached; otherwise it refuses us.
#: :param error_code: string, what its last answer was.
#: :param error: string, the same in a sentence.
backend_paused = Signal()

#: What :data:`backend_paused` has announced is over. Sent once, by the process that found out, and
#: other results wait for its receivers: leave what takes long to a job.
#:
#: :param backend: as there, and so are *origin*, *client_id* and *is_outage*.
#: :param seconds: float, for how long it was paused.
backend_resumed = Signal()
