"""Tasks of django-tasks, which django-tasks-rq makes jobs of."""

from __future__ import annotations

import asyncio

from django.contrib.auth import get_user_model
from django_tasks import task


@task()
def count_users(add: int) -> int:
    return get_user_model().objects.count() + add


@task()
async def count_users_later(add: int) -> int:
    await asyncio.sleep(0.1)
    return await get_user_model().objects.acount() + add


@task()
def fail() -> None:
    raise ValueError("this task fails")


@task(takes_context=True)
def who_am_i(context: object) -> str:
    return str(context.task_result.id)  # type: ignore[attr-defined]
