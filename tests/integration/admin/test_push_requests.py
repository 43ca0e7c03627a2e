"""The pages of push requests in the admin: what they show, to whom, and at what cost."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from django.contrib.auth.models import Permission, User
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from django_pushjobs.admin.change_list import BoundedPaginator
from django_pushjobs.admin.push_requests import PushRequestAdmin
from django_pushjobs.models import ApiClient, PushRequest
from django_pushjobs.models.identifiers import first_uuid, time_ordered_uuid
from django_pushjobs.states import Priority, Status
from tests.support.samples import a_push_request, some_deliveries

pytestmark = pytest.mark.django_db

LIST = "/admin/django_pushjobs/pushrequest/"


def page(request):
    return reverse("admin:django_pushjobs_pushrequest_change", args=[request.pk])


def listed(client, query=""):
    """The keys that the list shows, in its order."""
    response = client.get(LIST + query)
    assert response.status_code == 200, response.get("Location")
    return [row.pk for row in response.context["cl"].result_list]


def created_on(*day, **fields):
    at = datetime(*day, 12, tzinfo=UTC)
    return a_push_request(id=first_uuid(at), created_at=at, **fields)


def log_in_with(client, *codenames):
    user = User.objects.create_user("operator", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__in=codenames))
    client.force_login(user)


# What a view costs.


@pytest.mark.parametrize("query", ["", "?status__exact=succeeded", "?q=nothing", "?client=none"])
def test_a_view_of_the_list_counts_no_table_and_reads_no_long_texts(admin_client, query):
    a_push_request()
    with CaptureQueriesContext(connection) as captured:
        admin_client.get(LIST + query)
    ours = [q["sql"] for q in captured if "django_pushjobs_pushrequest" in q["sql"]]
    assert ours
    for sql in ours:
        assert "LIMIT" in sql
        assert not any(word in sql for word in ("DISTINCT", "MIN(", "MAX(", "LIKE"))
        assert '"body"' not in sql
        assert '"recipients"' not in sql


def test_the_list_takes_as_many_queries_for_fifty_rows_as_for_one(admin_client):
    def queries():
        with CaptureQueriesContext(connection) as captured:
            admin_client.get(LIST)
        return len(captured)

    a_push_request(client=ApiClient.objects.create(name="first"))
    few = queries()
    for number in range(49):
        a_push_request(client=ApiClient.objects.create(name=f"client {number}"))
    assert queries() == few


def test_a_page_of_one_request_takes_as_many_queries_whatever_it_holds(admin_client):
    small, large = a_push_request(), a_push_request()
    some_deliveries(small, 1)
    some_deliveries(large, 150)
    admin_client.get(page(small))  # from here on, Django knows the content type
    with CaptureQueriesContext(connection) as captured:
        admin_client.get(page(small))
    few = len(captured)
    with CaptureQueriesContext(connection) as captured:
        admin_client.get(page(large))
    assert len(captured) == few


def test_the_list_ends_at_its_bound_and_says_so(admin_client, monkeypatch):
    monkeypatch.setattr(BoundedPaginator, "limit", 4)
    monkeypatch.setattr(PushRequestAdmin, "list_per_page", 2)
    for _ in range(4):
        a_push_request()
    assert "There are more" not in admin_client.get(LIST).content.decode()
    a_push_request()
    response = admin_client.get(LIST)
    assert "There are more" in response.content.decode()
    assert response.context["cl"].result_count == 4
    assert len(listed(admin_client, "?p=2")) == 2
    assert admin_client.get(LIST + "?p=3").status_code == 302


# What the list shows.


@pytest.mark.parametrize("status", Status)
def test_every_status_is_a_symbol_and_a_word(admin_client, status):
    a_push_request(status)
    text = admin_client.get(LIST).rendered_content
    badge = text.partition('<span class="pushjobs-badge')[2].partition("</td>")[0]
    assert (
        f'<span aria-hidden="true">{badge.partition("true")[2][2]}</span> {status.label}' in badge
    )


def test_the_newest_comes_first_and_the_order_can_be_turned(admin_client):
    first, second = a_push_request(), a_push_request()
    first, second = sorted([first.pk, second.pk])
    assert listed(admin_client) == [second, first]
    assert listed(admin_client, "?o=3") == [first, second]


def test_filters(admin_client):
    friend = ApiClient.objects.create(name="friend")
    failed = a_push_request(Status.FAILED, backend="dummy")
    urgent = a_push_request(priority=Priority.HIGH)
    theirs = a_push_request(client=friend)
    everything = {failed.pk, urgent.pk, theirs.pk}
    assert set(listed(admin_client)) == everything
    assert listed(admin_client, "?status__exact=failed") == [failed.pk]
    assert listed(admin_client, "?backend=dummy") == [failed.pk]
    assert listed(admin_client, "?backend=gone") == []
    assert listed(admin_client, "?priority__exact=high") == [urgent.pk]
    assert listed(admin_client, f"?client={friend.pk}") == [theirs.pk]
    assert set(listed(admin_client, "?client=none")) == {failed.pk, urgent.pk}
    assert listed(admin_client, "?client=nonsense") == []
    assert listed(admin_client, f"?client={10**30}") == []
    assert set(listed(admin_client, "?within=nonsense")) == everything


def test_the_filter_by_age(admin_client):
    old = timezone.now() - timedelta(days=3)
    older = a_push_request(id=first_uuid(old), created_at=old)
    new = a_push_request()
    assert listed(admin_client, "?within=hour") == [new.pk]
    assert listed(admin_client, "?within=week") == [new.pk, older.pk]


def test_many_clients_are_not_listed_but_the_chosen_one(admin_client):
    clients = ApiClient.objects.bulk_create(ApiClient(name=f"client {n}") for n in range(31))
    chosen = ApiClient.objects.get(name="client 7")
    text = admin_client.get(f"{LIST}?client={chosen.pk}").rendered_content
    assert "client 7" in text
    assert "client 8" not in text
    assert len(clients) == 31


def test_search_finds_ids_beginnings_of_ids_and_references(admin_client):
    one, other = a_push_request(reference="order 1"), created_on(2025, 3, 4, reference="order 12")
    assert listed(admin_client, f"?q={one.pk}") == [one.pk]
    assert listed(admin_client, f"?q={one.pk.hex.upper()}") == [one.pk]
    assert listed(admin_client, f"?q={str(other.pk)[:13]}") == [other.pk]
    assert listed(admin_client, "?q=order+1") == [one.pk]
    assert listed(admin_client, "?q=order") == []
    assert admin_client.get(LIST + "?q=%00order+1").status_code == 200


# Dates.


def links(client, query=""):
    dates = client.get(LIST + query).context["cl"].dates()
    return [choice["title"] for choice in dates.get("choices", [])]


def test_dates_lead_from_years_to_months_to_days(admin_client):
    early, late = created_on(2024, 11, 30), created_on(2026, 2, 2)
    assert links(admin_client) == ["2024", "2025", "2026"]
    assert links(admin_client, "?created_at__year=2024") == ["November 2024", "December 2024"]
    month = "?created_at__year=2026&created_at__month=2"
    assert links(admin_client, month) == ["February 1", "February 2"]
    assert links(admin_client, month + "&created_at__day=2") == ["February 2"]
    assert listed(admin_client, "?created_at__year=2024") == [early.pk]
    assert listed(admin_client, month + "&created_at__day=2") == [late.pk]
    assert listed(admin_client, month + "&created_at__day=1") == []


def test_dates_begin_where_they_differ(admin_client):
    assert links(admin_client) == []
    created_on(2026, 2, 2)
    assert links(admin_client) == ["February 2"]
    created_on(2026, 4, 1)
    assert links(admin_client) == ["February 2026", "March 2026", "April 2026"]


def test_a_date_stays_when_the_other_filters_are_cleared(admin_client):
    created_on(2026, 2, 2)
    query = "?created_at__year=2026&status__exact=failed"
    changes = admin_client.get(LIST + query).context["cl"]
    assert changes.clear_all_filters_qs == "?created_at__year=2026"


@pytest.mark.parametrize("year", ["x", "0", "9999", "10000", "-1"])
def test_years_that_no_calendar_has_lead_back_to_the_list(admin_client, year):
    response = admin_client.get(f"{LIST}?created_at__year={year}")
    assert response.status_code == 302
    assert response["Location"].endswith("?e=1")


def test_a_moment_bounds_the_keys_of_its_millisecond():
    now = timezone.now()
    key = time_ordered_uuid()
    assert first_uuid(now - timedelta(milliseconds=2)) < key
    assert key < first_uuid(now + timedelta(days=1))
    assert first_uuid(datetime(1, 1, 2, tzinfo=UTC)).version == 7


# One request.


def test_the_page_of_a_request_shows_what_happened(admin_client):
    start = timezone.now() - timedelta(minutes=10)
    request = a_push_request(
        Status.PARTIAL,
        created_at=start,
        queued_at=start + timedelta(milliseconds=20),
        started_at=start + timedelta(seconds=2),
        finished_at=start + timedelta(minutes=2),
        title="<b>Hello</b>",
        data={"key": "<i>"},
        error_code="provider_rejected",
        error="It said no.",
        attempts=1,
        attempt_limit=5,
    )
    some_deliveries(request, 3)
    response = admin_client.get(page(request))
    text = response.rendered_content
    for shown in ("&lt;b&gt;Hello", "&lt;i&gt;", "provider_rejected", "It said no.", "device-1"):
        assert shown in text
    assert "<b>Hello" not in text
    steps = [(step.label, step.gap) for step in response.context["timeline"]]
    assert steps == [
        ("created", ""),
        ("queued", "+ 20 ms"),
        ("started attempt 1 of 5", "+ 2.0 s"),
        ("partial", "+ 1 min 58 s"),
    ]
    assert [button.name for button in response.context["buttons"]] == ["retry"]

    request.attempt_limit = None
    request.save()
    response = admin_client.get(page(request))
    assert "started attempt 1" in {step.label for step in response.context["timeline"]}
    assert "None" not in response.rendered_content


def test_deliveries_come_a_page_at_a_time_and_trouble_first(admin_client):
    request = a_push_request(Status.PARTIAL, total=101)
    some_deliveries(request, 101)
    response = admin_client.get(page(request))
    lines = response.context["deliveries"].lines
    assert len(lines) == 100
    assert lines[0].delivery.address == "device-100"
    assert "1 to 100 of 101 addresses" in response.rendered_content
    response = admin_client.get(page(request) + "?deliveries=2")
    assert len(response.context["deliveries"].lines) == 1
    assert not response.context["deliveries"].has_next
    for nonsense in ("0", "-1", "x", "9" * 400, "²"):
        response = admin_client.get(page(request), {"deliveries": nonsense})
        assert response.context["deliveries"].number == 1


@pytest.mark.parametrize("key", [UUID(int=1), "nonsense", "1"])
def test_an_unknown_request_leads_back(admin_client, key):
    assert admin_client.get(f"{LIST}{key}/change/").status_code == 302


def test_nobody_adds_changes_or_deletes_a_push_request(admin_client):
    request = a_push_request()
    assert admin_client.get(LIST + "add/").status_code == 403
    assert admin_client.post(page(request), {"title": "other"}).status_code == 403
    assert admin_client.post(f"{LIST}{request.pk}/delete/", {"post": "yes"}).status_code == 403
    assert PushRequest.objects.get().title == ""
    actions = admin_client.get(LIST).context["action_form"].fields["action"].choices
    assert {name for name, _label in actions} == {"", "retry_selected", "cancel_selected"}


# Permissions.


def test_without_permission_there_is_nothing_to_see(client):
    request = a_push_request()
    log_in_with(client)
    assert client.get(LIST).status_code == 403
    assert client.get(page(request)).status_code == 403


def test_who_may_view_sees_no_buttons_and_no_addresses(client):
    request = a_push_request(Status.FAILED, recipients=["address"])
    some_deliveries(request, 1)
    log_in_with(client, "view_pushrequest")
    assert client.get(LIST).context["action_form"] is None
    response = client.get(page(request))
    assert "buttons" not in response.context
    assert "deliveries" not in response.context
    assert "device-0" not in response.rendered_content
    assert "&quot;address&quot;" not in response.rendered_content


def test_two_permissions_show_the_addresses_of_deliveries(client):
    request = a_push_request(Status.FAILED, recipients=["address"])
    some_deliveries(request, 1)
    log_in_with(client, "view_pushrequest", "view_delivery", "view_address")
    text = client.get(page(request)).rendered_content
    assert "device-0" in text
    assert "&quot;address&quot;" in text
