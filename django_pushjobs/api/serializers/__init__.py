"""JSON that comes in, and rows that go out: a module for each noun.

What comes in is a :class:`~..bodies.Body`, what goes out a serializer as REST framework has them.
OpenAPI describes both from their fields.
"""
