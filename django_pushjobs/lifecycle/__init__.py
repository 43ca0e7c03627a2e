"""What every move of a push request brings with it: jobs are enqueued, listeners are told."""
