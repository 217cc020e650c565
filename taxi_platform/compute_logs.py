"""Where what steps print is kept, for ``dagster.yaml``: in a folder, or in the bucket.

``TAXI_COMPUTE_LOGS`` decides. In a folder, only the host on which a step ran has its output; with
the web server on another, it shows none.
"""

import os
import tempfile
from collections.abc import Mapping, Sequence
from typing import IO, TYPE_CHECKING, Any

import click
from dagster._core.instance.ref import compute_logs_directory
from dagster._core.storage.compute_log_manager import ComputeIOType, ComputeLogManager
from dagster._core.storage.local_compute_log_manager import LocalComputeLogManager
from dagster._serdes import ConfigurableClass

from taxi_platform.environment import DAGSTER_HOME, prepare_dagster_process
from taxi_platform.errors import SettingsError, StoreError

if TYPE_CHECKING:
    from dagster._serdes import ConfigurableClassData

VARIABLE = "TAXI_COMPUTE_LOGS"

PREFIX = "compute_logs"
"""Of the objects in the bucket."""

UPLOAD_SECONDS = 30
"""How often the output of a step that is running is uploaded."""


class ChosenComputeLogManager(ComputeLogManager, ConfigurableClass):
    """Is never made: makes Dagster's default manager, or dagster-gcp's."""

    @classmethod
    def config_type(cls) -> Any:
        """None: everything is in the environment."""
        return {}

    @classmethod
    def from_config_value(  # type: ignore[override]
        cls,
        inst_data: "ConfigurableClassData | None",
        config_value: Mapping[str, Any],  # noqa: ARG003
    ) -> ComputeLogManager:
        """See ``ConfigurableClass``.

        Raises:
            click.ClickException: the settings cannot be used; one line, and no traceback.
        """
        try:
            prepare_dagster_process()
            folder = compute_logs_directory(os.environ.get(DAGSTER_HOME) or tempfile.gettempdir())
            if os.environ.get(VARIABLE, "folder") == "folder":
                return LocalComputeLogManager(folder, inst_data=inst_data)
            return _in_bucket(folder, inst_data)
        except (SettingsError, StoreError) as error:
            raise click.ClickException(str(error)) from None


def _in_bucket(folder: str, inst_data: "ConfigurableClassData | None") -> ComputeLogManager:
    # Not imported for nothing: Google's clients take half a second.
    from dagster._core.storage.cloud_storage_compute_log_manager import (
        PollingComputeLogSubscriptionManager,
        TruncatingCloudStorageComputeLogManager,
    )
    from dagster_gcp.gcs.compute_log_manager import GCSComputeLogManager

    from taxi_platform.settings import load_settings
    from taxi_platform.stores.gcs.client import gcs_client
    from taxi_platform.stores.google import NO_RETRY

    class BucketComputeLogManager(GCSComputeLogManager):
        """dagster-gcp's, with the platform's client, and without a look at the bucket.

        dagster-gcp's asks for the bucket when it is made, and a run fails if GCS does not answer
        then. What fails later is an event of the run, which goes on.
        """

        def __init__(self) -> None:
            chosen = load_settings().gcs
            self._client = gcs_client(chosen)
            self._bucket_name = chosen.bucket
            self._bucket = self._client.bucket(chosen.bucket)
            self._prefix = PREFIX
            self._upload_interval = UPLOAD_SECONDS
            self._local_manager = LocalComputeLogManager(folder)
            self._subscription_manager = PollingComputeLogSubscriptionManager(self)
            self._show_url_only = False
            self._inst_data = inst_data
            self._request_seconds = chosen.request_seconds
            TruncatingCloudStorageComputeLogManager.__init__(self)  # type: ignore[arg-type]

        def _upload_file_obj(
            self,
            data: IO[bytes],
            log_key: Sequence[str],
            io_type: ComputeIOType,
            partial: bool = False,
        ) -> None:
            """Once only: no step waits minutes for its output. What is not uploaded stays here."""
            if partial and os.fstat(data.fileno()).st_size == 0:
                return
            blob = self._bucket.blob(self._gcs_key(log_key, io_type, partial=partial))
            blob.upload_from_file(data, retry=NO_RETRY, timeout=self._request_seconds)

    return BucketComputeLogManager()
