"""What is on disk: after kills, restarts and with a clock that goes back."""

import os
import signal
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from gcs_emulator.storage import catalog
from gcs_emulator.storage.store import NewObject, Store
from gcs_emulator_tests.servers import Emulator

pytestmark = pytest.mark.integration


@pytest.fixture
def own(tmp_path: Path) -> Iterator[Emulator]:
    """An emulator of the test's own."""
    running = Emulator(tmp_path)
    running.start()
    yield running
    running.stop()


def test_a_killed_server_has_every_object_that_it_answered_for_and_no_half_one(
    own: Emulator,
) -> None:
    with own.client() as client:
        bucket = client.create_bucket("lake")
        bucket.blob("x").upload_from_string(b"old")
        half_an_upload(own, "x", 5_000_000)
        own.stop(signal.SIGKILL)
        assert list((own.data / "uploads").iterdir()), "the upload was to be on its way"
        (own.data / "content" / "123").write_bytes(b"a content that no catalog names")
        own.start()

        assert [blob.name for blob in client.list_blobs("lake")] == ["x"]
        assert bucket.blob("x").download_as_bytes() == b"old"
        generation = bucket.get_blob("x").generation
        assert [path.name for path in (own.data / "content").iterdir()] == [str(generation)]
        assert list((own.data / "uploads").iterdir()) == []


def half_an_upload(emulator: Emulator, name: str, size: int) -> None:
    """Sends half of a content, and waits until the server has it on disk."""
    head = f"POST /upload/storage/v1/b/lake/o?uploadType=media&name={name} HTTP/1.1\r\n"
    head += f"Host: 127.0.0.1:{emulator.port}\r\nContent-Length: {size}\r\n\r\n"
    connection = socket.create_connection(("127.0.0.1", emulator.port))
    connection.sendall(head.encode() + b"n" * (size // 2))
    deadline = time.monotonic() + 60
    while sum(p.stat().st_size for p in (emulator.data / "uploads").iterdir()) < size // 4:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    connection.detach()  # It stays open until the server is killed.


def test_generations_grow_over_restarts_whatever_the_clock_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    generations = []
    for year in (2040, 2000, 2000):
        monkeypatch.setattr(catalog, "now_us", lambda year=year: (year - 1970) * 31_556_952_000_000)
        store = Store(tmp_path / "gcs")
        if not store.buckets():
            store.create_bucket("lake")
        for name in ("x", "y"):
            upload = store.new_upload()
            generations.append(store.put(NewObject("lake", name, {}), upload).generation)
        # One that is deleted is not given out again either.
        store.delete("lake", "y", None, NewObject("", "", {}).conditions)
        store.close()
    assert generations == sorted(set(generations))


def test_only_the_owner_can_read_what_is_stored(own: Emulator) -> None:
    with own.client() as client:
        client.create_bucket("lake").blob("x").upload_from_string(b"secret")
    for path in (own.data, *own.data.rglob("*")):
        mode = 0o700 if path.is_dir() else 0o600
        assert stat.S_IMODE(path.stat().st_mode) == mode, path


def test_a_folder_is_open_in_one_process_only(own: Emulator) -> None:
    second = subprocess.run(
        [sys.executable, "-m", "gcs_emulator", "--port", "1", "--data-dir", str(own.data)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert second.returncode == 1
    assert "another process has" in second.stderr
    assert "Traceback" not in second.stderr


def test_memory_does_not_grow_with_the_content(own: Emulator, tmp_path: Path) -> None:
    size = 200_000_000
    large = tmp_path / "large"
    with large.open("wb") as file:
        os.truncate(file.fileno(), size)
    with own.client() as client:
        bucket = client.create_bucket("lake")
        bucket.blob("small").upload_from_string(b"x")
        before = psutil.Process(own.process_id).memory_info().rss
        for name, chunk_size in (("whole", None), ("pieces", 64 << 20)):
            blob = bucket.blob(name, chunk_size=chunk_size)
            blob.upload_from_filename(str(large))
            blob.download_to_filename(str(tmp_path / "copy"))
            assert (tmp_path / "copy").stat().st_size == size
    peak = next(
        int(line.split()[1]) * 1024
        for line in Path(f"/proc/{own.process_id}/status").read_text().splitlines()
        if line.startswith("VmHWM")
    )
    assert peak - before < 40_000_000
