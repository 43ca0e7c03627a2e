"""A third party's push requests from the HTTP API to a gateway, on one machine."""
