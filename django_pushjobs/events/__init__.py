"""What moved, as a stream for each client that listens."""
