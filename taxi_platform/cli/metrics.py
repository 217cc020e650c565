"""`taxi-platform metrics`: serves the platform's numbers to Prometheus."""

import threading
import time
from typing import TYPE_CHECKING, Annotated, Any

import typer

from taxi_platform.cli.terminal import fail, say, say_error
from taxi_platform.errors import SettingsError

if TYPE_CHECKING:
    from dagster import DagsterInstance

    from taxi_platform.automation.metrics import Workers


def metrics(
    port: Annotated[int, typer.Option(min=0, max=65535, help="Where to listen; 0: any.")] = 9464,
    host: Annotated[
        str, typer.Option(help="The address to listen on; by default this host alone can connect.")
    ] = "127.0.0.1",
) -> None:
    """Serve /metrics for Prometheus: runs, the queue, daemons, workers, ticks, months and rows.

    Until SIGTERM or Ctrl-C. It asks Dagster when it is scraped, and keeps the answers for some
    seconds; the stores are asked again when runs have ended. It has no log-in.
    """
    from prometheus_client import CollectorRegistry

    from taxi_platform.automation.metrics import PlatformCollector
    from taxi_platform.cli.backfill import open_instance
    from taxi_platform.cli.metrics_server import PATH, MetricsServer
    from taxi_platform.settings import load_settings

    if not host.strip():
        raise fail("--host is empty: give it an address, such as 127.0.0.1, or 0.0.0.0 for all")
    registry = CollectorRegistry()
    try:
        chosen = load_settings()
    except SettingsError as error:
        raise fail(str(error)) from error
    look = None if chosen.celery_broker is None else WorkerWatch()
    collector = PlatformCollector(chosen, open_instance, say_error, look_at_workers=look)
    registry.register(collector)
    try:
        server = MetricsServer(host, port, registry)
    except (OSError, UnicodeError) as error:
        why = getattr(error, "strerror", None) or error
        raise fail(
            f"cannot listen on {host}:{port} ({why}): choose another --port or --host"
        ) from error
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    collector.begin()
    shown = f"[{host}]" if ":" in host else host
    say(f"http://{shown}:{server.port}{PATH}")
    try:
        threading.Event().wait()
    except KeyboardInterrupt:
        # Asked to stop, so it is no failure. Scrapes on their way are not waited for.
        server.shutdown()
        thread.join()
        server.server_close()


class WorkerWatch:
    """Looks at the workers from time to time."""

    def __init__(self) -> None:
        """Has seen none yet."""
        from taxi_platform.workers.presence import Observer

        self._observer = Observer()
        self._first: float | None = None

    def __call__(self, instance: "DagsterInstance") -> "Workers | None":
        """The workers by queue; None as long as none could have been seen to live."""
        from taxi_platform.automation.metrics import Workers
        from taxi_platform.workers.presence import BEAT_SECONDS

        seen = self._observer.look(instance)
        now = time.monotonic()
        self._first = now if self._first is None else self._first
        if now - self._first < 2 * BEAT_SECONDS:
            return None
        launcher: Any = instance.run_launcher
        queues = [launcher.default_queue, *(one.state.queue for one in seen)]
        living, places = dict.fromkeys(queues, 0), dict.fromkeys(queues, 0)
        for one in seen:
            living[one.state.queue] += one.has_beaten and not one.is_dead
            places[one.state.queue] += one.state.places if one.takes_runs else 0
        return Workers(living, places)
