"""The file that a command writes, as an option names it."""

from pathlib import Path

OPTION = "--output"


def output_file(given: Path) -> Path:
    """The file behind the links of a path.

    Raises:
        ValueError: no file can be there.
    """
    target = given.resolve()
    if not target.parent.is_dir():
        raise ValueError(f"{OPTION} is {str(given)!r}: there is no folder {target.parent}")
    if target.exists() and not target.is_file():
        raise ValueError(f"{OPTION} is {str(given)!r}, which is no file: give a file")
    return target


def wrong_ending(given: Path, endings: str) -> ValueError:
    """What is said of a name that ends in none of some endings.

    Args:
        given: the path.
        endings: those that are known, and what else helps.
    """
    return ValueError(f"{OPTION} is {str(given)!r}: end its name in {endings}")
