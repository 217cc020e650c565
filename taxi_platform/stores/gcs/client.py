"""A client of GCS, or of the embedded server."""

import os
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from taxi_platform.landing.bucket import BucketStorage
from taxi_platform.landing.zone import LandingZone
from taxi_platform.stores.gcs.landing import GCSLanding
from taxi_platform.stores.gcs.objects import GCSTrips
from taxi_platform.stores.gcs.settings import GCSSettings
from taxi_platform.stores.gcs.transfers import Patience
from taxi_platform.stores.google import is_emulated

if TYPE_CHECKING:
    from google.cloud import storage

EMULATOR = "STORAGE_EMULATOR_HOST"


def gcs_client(chosen: GCSSettings) -> "storage.Client":
    """The client, with Application Default Credentials in the cloud.

    Raises:
        PermanentStoreError: the embedded stack should be used, and is not up.
    """
    from google.auth.credentials import AnonymousCredentials
    from google.cloud import storage

    if is_emulated(chosen.environment, EMULATOR):
        return storage.Client(project=chosen.project, credentials=AnonymousCredentials())
    return storage.Client(project=chosen.project)


def trip_objects(chosen: GCSSettings) -> GCSTrips:
    """The trip objects of the settings' bucket.

    Raises:
        PermanentStoreError: the embedded stack should be used, and is not up.
    """
    return GCSTrips(gcs_client(chosen), chosen.bucket, chosen.request_seconds)


def bucket_zone(root: Path, chosen: GCSSettings, cache_bytes: int) -> LandingZone:
    """A landing zone in the settings' bucket; it is connected to when an object is needed.

    Args:
        root: the folder of the cache.
        chosen: the settings.
        cache_bytes: how large the cache may become.
    """
    patience = Patience(chosen.request_seconds)
    objects = GCSLanding(lambda: gcs_client(chosen), chosen.bucket, patience)
    return LandingZone(BucketStorage(root, objects, cache_bytes))


def browser_url(chosen: GCSSettings, name: str) -> str:
    """The page of an object in Google's console, for users with access."""
    if chosen.environment == "local":
        server = os.environ.get(EMULATOR, "")
        return f"{server}/storage/v1/b/{chosen.bucket}/o/{quote(name, safe='')}"
    return f"https://console.cloud.google.com/storage/browser/_details/{chosen.bucket}/{name}"
