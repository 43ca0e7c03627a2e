"""Changes of push requests, as a stream for each client that listens."""
