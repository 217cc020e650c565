"""Objects, as Google's client sees them."""

import base64
import hashlib
import io
from collections.abc import Callable

import google_crc32c
import httpx
import pytest
from google.api_core import exceptions
from google.cloud import storage

from gcs_emulator_tests.servers import Emulator

pytestmark = pytest.mark.integration

UNIT = 256 * 1024

Upload = Callable[..., None]


def simple(blob: storage.Blob, content: bytes, **options: object) -> None:
    blob.chunk_size = None
    blob.upload_from_string(content, retry=None, **options)


def resumable(blob: storage.Blob, content: bytes, **options: object) -> None:
    blob.chunk_size = UNIT
    blob.upload_from_file(io.BytesIO(content), retry=None, **options)


UPLOADS = [simple, resumable]


@pytest.mark.parametrize("size", [0, 1, UNIT, 3 * UNIT + 1])
@pytest.mark.parametrize("upload", UPLOADS)
def test_an_object_is_what_was_uploaded(bucket: storage.Bucket, upload: Upload, size: int) -> None:
    content = bytes(n % 251 for n in range(size))
    upload(bucket.blob("a/b c.bin"), content)

    found = bucket.get_blob("a/b c.bin")

    assert found is not None
    assert found.download_as_bytes() == content
    assert found.size == size
    crc32c = base64.b64encode(google_crc32c.Checksum(content).digest()).decode()
    md5 = hashlib.md5(content, usedforsecurity=False).digest()
    assert (found.crc32c, found.md5_hash) == (crc32c, base64.b64encode(md5).decode())


@pytest.mark.parametrize("upload", UPLOADS)
def test_an_upload_replaces_only_the_version_that_the_client_knows(
    bucket: storage.Bucket, upload: Upload
) -> None:
    blob = bucket.blob("x")
    upload(blob, b"first", if_generation_match=0)
    first = bucket.get_blob("x").generation
    for conditions in (
        {"if_generation_match": 0},
        {"if_generation_match": first + 1},
        {"if_generation_not_match": first},
        {"if_metageneration_match": 2},
    ):
        with pytest.raises(exceptions.PreconditionFailed, match="pre-conditions"):
            upload(bucket.blob("x"), b"other", **conditions)
    assert bucket.blob("x").download_as_bytes() == b"first"

    upload(bucket.blob("x"), b"second", if_generation_match=first)

    assert bucket.blob("x").download_as_bytes() == b"second"
    assert bucket.get_blob("x").generation > first


def test_of_two_resumable_uploads_that_began_together_one_wins(
    bucket: storage.Bucket, http: httpx.Client
) -> None:
    begin = {"uploadType": "resumable", "name": "x", "ifGenerationMatch": "0"}
    path = f"/upload/storage/v1/b/{bucket.name}/o"
    one, two = (http.post(path, params=begin).headers["location"] for _ in range(2))

    assert http.put(one, content=b"one").status_code == 200
    refused = http.put(two, content=b"two")

    assert refused.status_code == 412
    assert refused.json()["error"]["errors"][0]["reason"] == "conditionNotMet"
    assert bucket.blob("x").download_as_bytes() == b"one"


@pytest.mark.parametrize("name", ["crc32c", "md5_hash"])
def test_a_content_that_is_not_what_was_announced_replaces_nothing(
    bucket: storage.Bucket, name: str
) -> None:
    bucket.blob("x").upload_from_string(b"old")
    for upload in UPLOADS:
        blob = bucket.blob("x")
        setattr(blob, name, base64.b64encode(b"1234").decode())
        with pytest.raises(exceptions.BadRequest, match=r"Provided .* doesn't match calculated"):
            upload(blob, b"new", checksum=None)
    assert bucket.blob("x").download_as_bytes() == b"old"


def test_the_checksum_of_the_last_request_is_compared_too(
    bucket: storage.Bucket, http: httpx.Client
) -> None:
    path = f"/upload/storage/v1/b/{bucket.name}/o"
    begun = http.post(path, params={"uploadType": "resumable", "name": "x"})

    refused = http.put(
        begun.headers["location"], content=b"new", headers={"X-Goog-Hash": "crc32c=AAAAAA=="}
    )

    assert refused.status_code == 400
    assert bucket.get_blob("x") is None


def test_an_upload_is_resumed_where_it_broke_off(
    bucket: storage.Bucket, http: httpx.Client
) -> None:
    content = bytes(n % 256 for n in range(2 * UNIT + 1000))
    size = len(content)
    path = f"/upload/storage/v1/b/{bucket.name}/o"
    begun = http.post(path, params={"uploadType": "resumable"}, json={"name": "x"})
    session = begun.headers["location"]

    def put(first: int, last: int) -> httpx.Response:
        span = {"Content-Range": f"bytes {first}-{last - 1}/{size}"}
        return http.put(session, content=content[first:last], headers=span)

    asked = http.put(session, headers={"Content-Range": f"bytes */{size}"})
    assert (asked.status_code, asked.headers.get("range")) == (308, None)
    # More than a multiple of 256 KiB: the rest has to be sent again.
    part = put(0, UNIT + 10)
    assert (part.status_code, part.headers["range"]) == (308, f"bytes=0-{UNIT - 1}")
    assert put(2 * UNIT, size).status_code == 400
    assert bucket.get_blob("x") is None
    done = put(UNIT, size)
    assert done.status_code == 200
    again = http.put(session, headers={"Content-Range": f"bytes */{size}"})
    assert again.json() == done.json()
    assert bucket.blob("x").download_as_bytes() == content
    assert http.put(session + "x", content=b"").status_code == 404


def test_an_upload_can_be_given_up(bucket: storage.Bucket, http: httpx.Client) -> None:
    path = f"/upload/storage/v1/b/{bucket.name}/o"
    begun = http.post(path, params={"uploadType": "resumable", "name": "x"})
    assert http.delete(begun.headers["location"]).status_code == 499
    assert http.put(begun.headers["location"], content=b"x").status_code == 404


@pytest.mark.parametrize(
    "name", ["../../../escape", "/etc/passwd", "a/../b", "..a", "a//b", "ü ?#%2F&=+;@:", "a/"]
)
def test_a_name_is_a_name_and_not_a_path(
    bucket: storage.Bucket, emulator: Emulator, name: str
) -> None:
    before = {path for path in emulator.data.parent.rglob("*") if path.parent.name != "content"}
    bucket.blob(name).upload_from_string(b"content")
    assert [blob.name for blob in bucket.list_blobs()] == [name]
    assert bucket.blob(name).download_as_bytes() == b"content"
    after = {path for path in emulator.data.parent.rglob("*") if path.parent.name != "content"}
    assert after == before
    bucket.blob(name).delete()
    assert list(bucket.list_blobs()) == []


@pytest.mark.parametrize("name", ["", ".", "..", "a\nb", "x" * 1025])
def test_a_name_that_gcs_refuses_is_refused(
    bucket: storage.Bucket, http: httpx.Client, name: str
) -> None:
    answer = http.post(
        f"/upload/storage/v1/b/{bucket.name}/o", params={"uploadType": "media", "name": name}
    )
    assert answer.status_code == 400


def test_ranges_and_generations_of_a_content(bucket: storage.Bucket, http: httpx.Client) -> None:
    blob = bucket.blob("x")
    blob.upload_from_string(b"0123456789", content_type="text/plain")
    assert blob.download_as_bytes(start=2, end=4) == b"234"
    assert blob.download_as_bytes(start=8) == b"89"
    path = f"/storage/v1/b/{bucket.name}/o/x"
    suffix = http.get(path, params={"alt": "media"}, headers={"Range": "bytes=-3"})
    assert (suffix.status_code, suffix.content) == (206, b"789")
    assert suffix.headers["content-range"] == "bytes 7-9/10"
    assert suffix.headers["content-type"].startswith("text/plain")
    with pytest.raises(exceptions.RequestRangeNotSatisfiable):
        blob.download_as_bytes(start=10)
    with pytest.raises(exceptions.NotFound):
        bucket.blob("x", generation=1).download_as_bytes()
    known = {"alt": "media", "ifGenerationNotMatch": str(blob.generation)}
    assert http.get(path, params=known).status_code == 304
    with pytest.raises(exceptions.PreconditionFailed):
        blob.download_as_bytes(if_generation_match=1)


def test_who_reads_an_object_has_one_version_of_it(
    bucket: storage.Bucket, http: httpx.Client
) -> None:
    old = b"o" * (8 << 20)
    bucket.blob("x").upload_from_string(old)
    with http.stream("GET", f"/download/storage/v1/b/{bucket.name}/o/x?alt=media") as answer:
        chunks = answer.iter_raw(1 << 16)
        read = next(chunks)
        bucket.blob("x").upload_from_string(b"new")
        read += b"".join(chunks)
    assert read == old


def test_names_are_listed_in_pages_and_put_together(bucket: storage.Bucket) -> None:
    names = ["a", "b/1", "b/2", "b/c/3", "c", "d/4", "é", "\uffff", "\U0001f600"]
    for name in reversed(names):
        bucket.blob(name).upload_from_string(b"")

    def listed(size: int, **options: str) -> tuple[list[str], list[str]]:
        found = bucket.list_blobs(page_size=size, **options)
        return [blob.name for blob in found], sorted(found.prefixes)

    for size in (1, 2, 100):
        assert listed(size) == (names, [])
        assert listed(size, prefix="b/") == (["b/1", "b/2", "b/c/3"], [])
        assert listed(size, prefix="b/", delimiter="/") == (["b/1", "b/2"], ["b/c/"])
        top = [n for n in names if "/" not in n]
        assert listed(size, delimiter="/") == (top, ["b/", "d/"])
        assert listed(size, start_offset="b/2", end_offset="d") == (["b/2", "b/c/3", "c"], [])


def test_properties_are_kept_changed_and_removed(bucket: storage.Bucket) -> None:
    blob = bucket.blob("x")
    blob.metadata = {"a": "1", "b": "2"}
    blob.cache_control = "no-store"
    blob.upload_from_string(b"", content_type="text/csv")
    blob.metadata = {"a": None, "c": "3"}
    blob.patch()
    found = bucket.get_blob("x")
    assert found.metadata == {"b": "2", "c": "3"}
    assert (found.content_type, found.cache_control) == ("text/csv", "no-store")
    assert (found.generation, found.metageneration) == (blob.generation, 2)
    with pytest.raises(exceptions.PreconditionFailed):
        found.patch(if_metageneration_match=1)
    found.metadata = {"d": "4"}
    found.update()
    assert bucket.get_blob("x").metadata == {"d": "4"}


def test_what_is_missing_is_said_in_google_s_form(
    client: storage.Client, bucket: storage.Bucket, http: httpx.Client
) -> None:
    with pytest.raises(exceptions.NotFound, match="No such object"):
        bucket.blob("gone").download_as_bytes()
    with pytest.raises(exceptions.NotFound, match="No such object"):
        bucket.blob("gone").delete()
    with pytest.raises(exceptions.NotFound, match="bucket does not exist"):
        client.bucket("nowhere").blob("x").upload_from_string(b"")
    bucket.blob("x").upload_from_string(b"")
    with pytest.raises(exceptions.Conflict, match="not empty"):
        bucket.delete()
    with pytest.raises(exceptions.Conflict):
        client.create_bucket(bucket.name)
    error = http.get(f"/storage/v1/b/{bucket.name}/o/gone").json()["error"]
    detail = {"message": error["message"], "domain": "global", "reason": "notFound"}
    assert (error["code"], error["errors"]) == (404, [detail])


def test_what_is_not_supported_is_said_and_not_ignored(
    bucket: storage.Bucket, http: httpx.Client
) -> None:
    blob = bucket.blob("x")
    blob.upload_from_string(b"")
    path = f"/storage/v1/b/{bucket.name}"
    for method, address in (
        ("GET", f"{path}/o?versions=true"),
        ("GET", f"{path}/iam"),
        ("POST", f"{path}/o/x/compose"),
        ("POST", f"{path}/o/x/copyTo/b/{bucket.name}/o/y"),
    ):
        answer = http.request(method, address)
        assert answer.status_code == 501, address
        assert "does not support" in answer.json()["error"]["message"]
    blob.temporary_hold = True
    with pytest.raises(exceptions.MethodNotImplemented, match="temporaryHold"):
        blob.patch()


def test_a_copy_has_the_content_of_the_generation_that_was_named(bucket: storage.Bucket) -> None:
    source, target = bucket.blob("a/b c"), bucket.blob("a/copy of it")
    source.metadata = {"kept": "yes"}
    source.upload_from_string(b"first", content_type="text/plain", retry=None)
    first = bucket.get_blob("a/b c")

    assert target.rewrite(first, if_generation_match=0, retry=None) == (None, 5, 5)
    copied = bucket.get_blob("a/copy of it")
    assert copied.download_as_bytes() == b"first"
    assert (copied.crc32c, copied.metadata) == (first.crc32c, {"kept": "yes"})
    assert copied.content_type == "text/plain"
    assert copied.generation > first.generation

    source.upload_from_string(b"second", retry=None)
    with pytest.raises(exceptions.NotFound):
        target.rewrite(first, retry=None)
    now = bucket.get_blob("a/b c")
    with pytest.raises(exceptions.PreconditionFailed):
        target.rewrite(now, if_generation_match=0, retry=None)
    with pytest.raises(exceptions.PreconditionFailed):
        target.rewrite(now, if_source_generation_match=first.generation, retry=None)
    assert bucket.get_blob("a/copy of it").generation == copied.generation

    again = bucket.blob("a/copy of it")
    again.metadata = {"of": "the second"}
    again.rewrite(now, if_generation_match=copied.generation, retry=None)
    found = bucket.get_blob("a/copy of it")
    assert found.download_as_bytes() == b"second"
    assert found.metadata == {"of": "the second"}
    assert bucket.get_blob("a/b c").download_as_bytes() == b"second"
