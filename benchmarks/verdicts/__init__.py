"""Every answer of every provider, at a rate: what it must not reach, and what it has to pause."""
