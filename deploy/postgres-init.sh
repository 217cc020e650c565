#!/bin/bash
# Run once by the Postgres image, on an empty volume: Dagster's records get a database of their own
# beside the trips.
set -euo pipefail

if [[ $TAXI_DAGSTER_POSTGRES_DATABASE != "$POSTGRES_DB" ]]; then
  createdb --username "$POSTGRES_USER" "$TAXI_DAGSTER_POSTGRES_DATABASE"
fi
