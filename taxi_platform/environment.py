"""The environment of a process: one precedence, whichever command starts it.

Variables of the shell win over those in ``.env``. The platform's own commands read ``.env`` so.
Dagster's commands let ``.env`` win, so their processes take back what the shell had set, before
anything of the platform is configured. A secret may be in a file, as containers mount them: the
variable with ``_FILE`` at its end names it, and takes precedence over the variable itself.
"""

import os
from collections.abc import Mapping
from functools import cache
from pathlib import Path

from taxi_platform.broker import BROKER, broker_at
from taxi_platform.errors import SettingsError

DAGSTER_HOME = "DAGSTER_HOME"
FILE = "_FILE"

SECRETS = ("_PASSWORD", "_SECRET", "_TOKEN", "_URL", "_BROKER")
"""How the names of variables end that may be in a file."""

LIBPQ_ADDRESS = "PGHOSTADDR"
"""libpq connects to it whatever the host: the platform's settings would not say where."""

_OURS = ("TAXI_", "STORAGE_EMULATOR_HOST", "BIGQUERY_EMULATOR_HOST", "GOOGLE_")

MOST_BYTES = 64 << 10
"""More is no secret, but another file."""

_takes_back = True


def read_env_file(folder: Path) -> None:
    """Prepares a process of the platform's own commands: adds the variables of a ``.env`` file.

    Raises:
        SettingsError: the file, or a secret's file, cannot be read.
    """
    from dotenv import load_dotenv

    path = folder / ".env"
    try:
        _refuse_malformed(path)
        load_dotenv(path)
    except UnicodeDecodeError as error:
        raise SettingsError(f"{path} is not UTF-8 (byte {error.start}): save it as UTF-8") from None
    except OSError as error:
        raise SettingsError(f"{path}: {error.strerror}") from None
    accept_changes()
    os.environ.pop(LIBPQ_ADDRESS, None)
    _read_secret_files()


@cache
def _refuse_malformed(path: Path) -> None:
    """Refuses a ``.env`` with a line that is no variable: it would be left out without a word.

    Raises:
        SettingsError: names the line, without its text, which may be a secret.
    """
    from dotenv.parser import parse_stream

    if not path.is_file():
        return
    with path.open(encoding="utf-8") as file:
        for binding in parse_stream(file):
            if binding.error:
                raise SettingsError(
                    f"{path}: line {binding.original.line} cannot be read: write NAME=value, and "
                    "close each quote"
                )


def accept_changes() -> None:
    """Makes later changes of variables the process's own, which are not taken back."""
    global _takes_back
    _takes_back = False


def prepare_dagster_process() -> None:
    """Prepares a process of Dagster's commands: lets variables of the shell win over ``.env``.

    Dagster reads ``.env`` more than once in a process, so call this before each use.

    Raises:
        SettingsError: ``.env`` names another ``DAGSTER_HOME`` than the shell, and Dagster has
            opened that already; a secret's file cannot be read; or the broker's address cannot be
            used.
    """
    if _takes_back:
        shell = _inherited()
        home, now = shell.get(DAGSTER_HOME), os.environ.get(DAGSTER_HOME)
        if home and now and home != now:
            raise SettingsError(
                f"{DAGSTER_HOME} is {home} in the shell and {now} in .env, which Dagster's "
                "commands prefer: unset it, or make them equal"
            )
        _refuse_malformed(Path(".env").absolute())
        os.environ.update({name: value for name, value in shell.items() if name.startswith(_OURS)})
    os.environ.pop(LIBPQ_ADDRESS, None)
    _read_secret_files()
    _judge_broker()


def _judge_broker() -> None:
    """Before a part of Dagster, or of Celery, shows it in a traceback."""
    try:
        if address := os.environ.get(BROKER):
            broker_at(address)
    except ValueError as error:
        raise SettingsError(f"{BROKER}: {error}") from None


def _inherited() -> Mapping[str, str]:
    """The environment that this process was started with, whatever has changed since."""
    try:
        block = Path("/proc/self/environ").read_bytes()
    except OSError:
        try:
            import psutil
        except ImportError:
            return {}
        return dict(psutil.Process().environ())
    pairs = (os.fsdecode(entry).partition("=") for entry in block.split(b"\0"))
    return {name: value for name, found, value in pairs if found}


def _read_secret_files() -> None:
    """Sets each secret whose file is named; child processes read the file again."""
    for variable, path in list(os.environ.items()):
        name = variable.removesuffix(FILE)
        if path and name != variable and name.startswith("TAXI_") and name.endswith(SECRETS):
            os.environ[name] = _secret_in(Path(path), variable)


def _secret_in(path: Path, variable: str) -> str:
    try:
        with path.open("rb") as file:
            content = file.read(MOST_BYTES + 1)
    except OSError as error:
        raise SettingsError(f"{variable}: {path}: {error.strerror}") from None
    if len(content) > MOST_BYTES:
        raise SettingsError(f"{variable}: {path} is too large for a secret")
    try:
        text = content.decode()
    except UnicodeDecodeError:
        raise SettingsError(f"{variable}: {path} is not UTF-8") from None
    # Editors add a line end; a secret has none.
    text = text.removesuffix("\n").removesuffix("\r")
    if not text or "\0" in text:
        raise SettingsError(f"{variable}: {path} has no secret in it")
    return text
