"""The process that forks, watches and replaces the others: the standard library only."""
