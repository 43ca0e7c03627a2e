"""The OpenAPI description: what the code of the views does not say by itself.

The decorators in :mod:`.push_requests` and :mod:`.callbacks` describe the methods of the views,
with the help of :mod:`.describe`; :mod:`.document` makes the document from them.
"""
