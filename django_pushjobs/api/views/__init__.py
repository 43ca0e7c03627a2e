"""The calls of the API: a module for each noun.

Views read and answer; whatever changes a row is a service. :mod:`..routes` and :mod:`..urls` say at
which addresses they are.
"""
