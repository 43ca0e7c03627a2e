"""The HTTP API for third parties; needs the extra ``api``.

:mod:`.urls` and :mod:`.routes` lead to the :mod:`.views`. Every view is an :class:`.base.ApiView`,
which asks in this order:

- :mod:`.authentication`: whose key is it?
- :mod:`.permissions`: does it have the scope?
- the limits of the client, which :mod:`.throttling` shows in the headers of the answer.

Then the view reads the body with :mod:`.bodies`, calls a service, and answers with one of the
:mod:`.serializers`. Whatever is raised on the way, :mod:`.exception_handler` makes a problem of it.
:mod:`.openapi` describes all of this.
"""
