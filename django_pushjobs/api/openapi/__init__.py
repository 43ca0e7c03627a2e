"""The OpenAPI description: what the code of the views does not say by itself.

Decorators of :mod:`.push_requests` and :mod:`.callbacks` describe the methods of the views, in the
words of :mod:`.describe`; :mod:`.document` makes the document of them.
"""
