"""`taxi-platform metrics`: serves the platform's numbers to Prometheus."""

import threading
from typing import Annotated

import typer

from taxi_platform.cli.terminal import fail, say, say_error
from taxi_platform.errors import SettingsError


def metrics(
    port: Annotated[int, typer.Option(min=0, max=65535, help="Where to listen; 0: any.")] = 9464,
    host: Annotated[
        str, typer.Option(help="The address to listen on; by default this host alone can connect.")
    ] = "127.0.0.1",
) -> None:
    """Serve /metrics for Prometheus: runs, the queue, daemons, ticks, months and rows.

    Until SIGTERM or Ctrl-C. It asks Dagster when it is scraped, and keeps the answers for some
    seconds; the stores are asked again when runs have ended. It has no log-in.
    """
    from prometheus_client import CollectorRegistry, start_http_server

    from taxi_platform.automation.metrics import PlatformCollector
    from taxi_platform.cli.backfill import open_instance
    from taxi_platform.settings import load_settings

    registry = CollectorRegistry()
    try:
        collector = PlatformCollector(load_settings(), open_instance, say_error)
    except SettingsError as error:
        raise fail(str(error)) from error
    registry.register(collector)
    try:
        server, thread = start_http_server(port, addr=host, registry=registry)
    except OSError as error:
        raise fail(
            f"cannot listen on {host}:{port} ({error.strerror or error}): choose another --port or "
            "--host"
        ) from error
    collector.begin()
    shown = f"[{host}]" if ":" in host else host
    say(f"http://{shown}:{server.server_port}/metrics")
    try:
        threading.Event().wait()
    except KeyboardInterrupt:
        # Asked to stop, so it is no failure. Scrapes on their way are not waited for.
        server.shutdown()
        thread.join()
        server.server_close()
