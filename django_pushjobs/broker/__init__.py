"""The only door to Redis and RQ: queues, leases, keys, and whatever processes have to agree on."""

from redis.exceptions import RedisError as Unavailable

__all__ = ["Unavailable"]
