import stat
from pathlib import Path

import pytest
from dotenv import dotenv_values
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from taxi_platform.local.env_file import BEGIN, END, quoted, remove_block, write_block

VARIABLES = {"TAXI_ENV": "local", "TAXI_DATA_DIR": "/srv/a b/.taxi/data"}
USER_LINES = st.lists(
    st.sampled_from(
        [b"A=1", b"", b"# a note", b"export B='x y'", b"\xff\xfe", b"TAXI_OTHER=2", b"  C = 3 # c"]
    ),
    max_size=8,
)


@pytest.fixture
def env(tmp_path: Path) -> Path:
    return tmp_path / ".env"


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(lines=USER_LINES, newline=st.sampled_from([b"\n", b"\r\n"]), ended=st.booleans())
@example(lines=[], newline=b"\n", ended=False)
def test_removing_the_block_gives_back_the_users_bytes(
    env: Path, lines: list[bytes], newline: bytes, ended: bool
) -> None:
    original = newline.join(lines) + (newline if ended else b"")
    env.write_bytes(original)

    write_block(env, VARIABLES)
    write_block(env, VARIABLES | {"TAXI_ENV": "other"})

    written = env.read_bytes()
    assert written.startswith(original)
    assert written.count(BEGIN) == written.count(END) == 1
    assert remove_block(env, VARIABLES)
    assert env.read_bytes() == original


@given(value=st.text(st.characters(exclude_characters="\0\r", exclude_categories=["Cs"])))
@example('/home/me/my project #1/$HOME/${HOME}/it\'s "here"\\')
@example("ends with a backslash\\")
@example("C:\\new\\table")
@example("${HOME}")
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_dotenv_reads_back_every_value(env: Path, value: str) -> None:
    write_block(env, {"TAXI_DATA_DIR": value, "TAXI_ENV": "local"})

    assert dotenv_values(env) == {"TAXI_DATA_DIR": value, "TAXI_ENV": "local"}


def test_plain_values_are_written_plainly() -> None:
    assert quoted("http://127.0.0.1:4000") == "http://127.0.0.1:4000"
    assert quoted("a b") == "'a b'"


def test_a_file_made_for_the_block_goes_with_it(env: Path) -> None:
    write_block(env, VARIABLES)
    assert stat.S_IMODE(env.stat().st_mode) == 0o600

    assert remove_block(env, VARIABLES)
    assert not env.exists()


def test_a_file_made_for_the_block_stays_if_the_user_wrote_into_it(env: Path) -> None:
    write_block(env, VARIABLES)
    with env.open("ab") as stream:
        stream.write(b"MINE=1\n")
    write_block(env, VARIABLES)

    remove_block(env, VARIABLES)

    assert env.read_bytes() == b"MINE=1\n"


def test_an_empty_file_of_the_users_stays(env: Path) -> None:
    env.touch()

    write_block(env, VARIABLES)
    remove_block(env, VARIABLES)

    assert env.read_bytes() == b""


def test_lines_after_the_block_are_not_joined_to_those_before_it(env: Path) -> None:
    env.write_bytes(b"A=1")
    write_block(env, VARIABLES)
    with env.open("ab") as stream:
        stream.write(b"B=2\n")

    remove_block(env, VARIABLES)

    assert env.read_bytes() == b"A=1\nB=2\n"


def test_the_block_keeps_its_place(env: Path) -> None:
    write_block(env, VARIABLES)
    env.write_bytes(b"A=1\n" + env.read_bytes() + b"B=2\n")

    write_block(env, {"TAXI_ENV": "other"})

    content = env.read_bytes()
    assert content.startswith(b"A=1\n" + BEGIN)
    assert content.endswith(END + b"\nB=2\n")
    assert dotenv_values(env) == {"A": "1", "TAXI_ENV": "other", "B": "2"}


@pytest.mark.parametrize("lost", [BEGIN, END])
def test_a_block_that_lost_a_mark_is_replaced_and_no_line_of_the_users_with_it(
    env: Path, lost: bytes
) -> None:
    env.write_bytes(b"A=1\n")
    write_block(env, VARIABLES)
    with env.open("ab") as stream:
        stream.write(b"B=2\n")
    env.write_bytes(env.read_bytes().replace(lost + b"\n", b""))

    write_block(env, VARIABLES)
    assert env.read_bytes().count(b"TAXI_ENV=") == 1

    remove_block(env, VARIABLES)
    assert env.read_bytes() == b"A=1\nB=2\n"


def test_two_blocks_become_one(env: Path) -> None:
    write_block(env, VARIABLES)
    env.write_bytes(env.read_bytes() + b"A=1\n" + env.read_bytes())

    write_block(env, VARIABLES)

    assert env.read_bytes().count(BEGIN) == 1
    assert env.read_bytes().endswith(b"A=1\n")


def test_crlf_files_get_a_crlf_block(env: Path) -> None:
    env.write_bytes(b"A=1\r\nB=2\r\n")

    write_block(env, VARIABLES)

    assert b"\n" not in env.read_bytes().replace(b"\r\n", b"")
    assert dotenv_values(env) == {"A": "1", "B": "2", **VARIABLES}


def test_variables_the_user_sets_too_are_named(env: Path) -> None:
    env.write_bytes(b"export TAXI_ENV = gcp\n#TAXI_DATA_DIR=/x\n")

    assert write_block(env, VARIABLES).set_elsewhere == ["TAXI_ENV"]


@pytest.mark.parametrize(
    ("mode", "reported"), [(0o640, 0o640), (0o644, 0o644), (0o622, None), (0o600, None)]
)
def test_a_file_that_others_could_read_is_closed_to_them(
    env: Path, mode: int, reported: int | None
) -> None:
    env.write_bytes(b"A=1\n")
    env.chmod(mode)

    assert write_block(env, VARIABLES).earlier_mode == reported
    assert stat.S_IMODE(env.stat().st_mode) == 0o600

    env.chmod(mode)
    assert write_block(env, VARIABLES).earlier_mode == reported
    assert stat.S_IMODE(env.stat().st_mode) == 0o600, "also when nothing else changes"

    remove_block(env, VARIABLES)
    assert stat.S_IMODE(env.stat().st_mode) == 0o600


def test_a_symlinked_file_stays_a_symlink(env: Path, tmp_path: Path) -> None:
    shared = tmp_path / "shared.env"
    shared.write_bytes(b"A=1\n")
    env.symlink_to(shared.name)

    write_block(env, VARIABLES)
    assert env.is_symlink()
    assert BEGIN in shared.read_bytes()

    remove_block(env, VARIABLES)
    assert shared.read_bytes() == b"A=1\n"


def test_without_a_block_nothing_is_removed(env: Path) -> None:
    assert not remove_block(env, VARIABLES)
    env.write_bytes(b"TAXI_ENV=gcp\n")

    assert not remove_block(env, VARIABLES)
    assert env.read_bytes() == b"TAXI_ENV=gcp\n"
