"""What the demo prints: a live screen on a terminal, plain lines elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from .report import Report
from .thirdparty import PATH

#: Without a terminal, progress is shown in this many lines.
STEPS = 5


class Screen:
    def __init__(self, console: Console | None = None) -> None:
        self.console = console or Console(highlight=False, soft_wrap=True)

    @property
    def is_live(self) -> bool:
        return self.console.is_terminal

    def heading(self, text: str) -> None:
        self.console.print(f"\n[bold]{escape(text)}[/]")

    def step(self, text: str, detail: str) -> None:
        self.console.print(f"  [green]✓[/] {escape(text):<12} [dim]{escape(detail)}[/]")

    def success(self, text: str) -> None:
        self.console.print(f"[bold green]✓[/] {escape(text)}")

    def failure(self, text: str) -> None:
        self.console.print(f"[bold red]✗[/] {escape(text)}")

    def report(self, report: Report) -> None:
        self.heading("Results")
        self.console.print(report.table())

    def links(
        self, web_url: str, gateway_url: str, key: str, login: tuple[str, str] | None
    ) -> None:
        self.heading("Look around")
        account = f"  log in as {login[0]} / {login[1]}" if login else ""
        places = {
            "home page": f"{web_url}/",
            "browser": f"{web_url}/browser/",
            "API docs": f"{web_url}/api/v1/docs",
            "admin": f"{web_url}/admin/{account}",
            "queue": f"{web_url}/django-rq/",
            "gateway": f"{gateway_url}/stats",
            "API key": key,
        }
        for name, place in places.items():
            self.console.print(f"  {name:<10} {escape(place)}")
        self.heading("Send a push yourself")
        body = '{"recipients": ["device-1"], "title": "Hello"}'
        self.console.print(
            f"  curl {web_url}{PATH} \\\n"
            f"    -H 'Authorization: Bearer {key}' \\\n"
            f"    -H 'Content-Type: application/json' \\\n"
            f"    -d '{body}'",
            markup=False,
        )

    def farewell(self) -> None:
        self.console.print("[dim]Stopping the services …[/]")

    @contextmanager
    def progress(self, *names: str, total: int) -> Iterator[dict[str, Callable[[int], None]]]:
        """Yield for each name a function that takes how many of ``total`` are done."""
        if not self.is_live:
            yield {name: self._lines(name, total) for name in names}
            return
        columns = (
            TextColumn("  {task.description:<11}"),
            BarColumn(bar_width=40),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
        )
        with Progress(*columns, console=self.console) as bars:
            yield {name: self._bar(bars, name, total) for name in names}

    def _bar(self, bars: Progress, name: str, total: int) -> Callable[[int], None]:
        # It pulses, and its clock is stopped, until there is something to show.
        task = bars.add_task(name, total=total, start=False)

        def update(done: int) -> None:
            bars.start_task(task)
            bars.update(task, completed=done)

        return update

    def _lines(self, name: str, total: int) -> Callable[[int], None]:
        shown = 0

        def update(done: int) -> None:
            nonlocal shown
            step = done * STEPS // total if total else STEPS
            if step > shown:
                shown = step
                self.console.print(f"  {name}: {done:,} of {total:,}")

        return update
