"""This process: whether its threads are greenlets, and what distinguishes it from others."""
