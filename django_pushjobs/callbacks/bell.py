"""Ringing for the senders, which nothing depends on."""

from __future__ import annotations

import logging
from collections.abc import Collection
from uuid import UUID

from redis.exceptions import RedisError

from ..queues import ring_for_endpoints

logger = logging.getLogger(__name__)


def ring(endpoint_ids: Collection[UUID]) -> None:
    """Ring for endpoints with events that are due. Without Redis, the relay rings later."""
    if not endpoint_ids:
        return
    try:
        ring_for_endpoints(endpoint_ids)
    except RedisError as error:
        logger.warning("The doorbell for %d endpoints failed: %s", len(endpoint_ids), error)
