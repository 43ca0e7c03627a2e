"""This process: whether its threads are greenlets, and how it is told from others."""
