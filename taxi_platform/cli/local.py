"""`taxi-platform local`: the embedded stack from the command line.

The stack is imported when a command runs. So without the `local` extra the command line still
works, and reports what is missing.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from taxi_platform.cli.terminal import console, fail, print_folded
from taxi_platform.local.errors import LocalStackError, require_local_extra

if TYPE_CHECKING:
    from rich.console import Console

    from taxi_platform.local.stack import LocalStack, ServerStatus

NOT_ALL_RUNNING = 3

local_app = typer.Typer(
    name="local",
    help="The embedded stack: GCS, BigQuery and Postgres as processes of your user.",
    no_args_is_help=True,
)

ProjectDir = Annotated[
    Path,
    typer.Option(
        "--project-dir",
        help="The folder with dagster.yaml; the stack's data is in its folder .taxi.",
        exists=True,
        file_okay=False,
    ),
]


@local_app.command()
def up(
    project_dir: ProjectDir = Path(),
    workers: Annotated[
        bool,
        typer.Option("--workers", help="Start Redis too, through which workers are given runs."),
    ] = False,
) -> None:
    """Start the servers that are not running, and write the variables for clients into .env."""
    with _stack(project_dir) as stack:
        stack.up(typer.echo, workers=workers)
        found = stack.environment()
        typer.echo("\nThe local stack is up:")
        typer.echo(
            f"  GCS       {found['STORAGE_EMULATOR_HOST']}  bucket {found['TAXI_GCS_BUCKET']}"
        )
        typer.echo(
            f"  BigQuery  {found['BIGQUERY_EMULATOR_HOST']}  project {found['TAXI_GCP_PROJECT']}"
        )
        typer.echo(
            f"  Postgres  {found['TAXI_POSTGRES_HOST']}:{found['TAXI_POSTGRES_PORT']}"
            f"  database {found['TAXI_POSTGRES_DATABASE']}, user {found['TAXI_POSTGRES_USER']}"
        )
        if workers:
            typer.echo("  Redis     gives runs to workers: start one with 'taxi-platform worker'")
        typer.echo(f"Commands in {stack.project_dir} read these addresses from .env.")


@local_app.command(hidden=True)
def require_port(port: str) -> None:
    """Fail if a port is taken, for `make dev`."""
    from taxi_platform.local.free_port import why_not

    if problem := why_not(port):
        raise fail(problem)


@local_app.command()
def down(project_dir: ProjectDir = Path()) -> None:
    """Stop the servers. Their data is kept."""
    with _stack(project_dir) as stack:
        stack.down(typer.echo)


@local_app.command()
def status(
    project_dir: ProjectDir = Path(),
    as_json: Annotated[bool, typer.Option("--json", help="Write JSON.")] = False,
) -> None:
    """Show the state of the servers. Exits with 0 if all run, else with 3."""
    with _stack(project_dir) as stack:
        servers = stack.status()
    if as_json:
        typer.echo(json.dumps([asdict(server) for server in servers], indent=2, default=str))
    else:
        for server in servers:
            show_server(console(), server)
    if any(server.state != "running" for server in servers):
        raise typer.Exit(NOT_ALL_RUNNING)


@local_app.command()
def reset(
    project_dir: ProjectDir = Path(),
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
) -> None:
    """Stop the servers and delete all data, including Dagster's records and trip files."""
    with _stack(project_dir) as stack:
        if not yes:
            typer.confirm(f"Delete all data in {stack.folder}?", abort=True)
        stack.reset(typer.echo)


@contextmanager
def _stack(project_dir: Path) -> Iterator["LocalStack"]:
    """The stack of a project; its errors become a message and exit code 1."""
    try:
        require_local_extra()
        from taxi_platform.local.stack import LocalStack

        yield LocalStack(project_dir)
    except (LocalStackError, OSError) as error:
        raise fail(str(error)) from error


def show_server(output: "Console", server: "ServerStatus") -> None:
    """Shows the state of a server in a line; on a narrow terminal its log has a second one."""
    process = f"pid {server.pid}" if server.pid else ""
    size = f"{server.data_bytes / 1e6:,.1f} MB"
    line = f"{server.name:<9} {server.state:<9} {server.address or '':<23} {process:<12} {size:>11}"
    print_folded(output, f"{line}  {server.log}", hanging=10)
