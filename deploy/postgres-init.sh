#!/bin/bash
# The Postgres image runs this once, on an empty volume: creates a separate database for Dagster's
# records.
set -euo pipefail

if [[ $TAXI_DAGSTER_POSTGRES_DATABASE != "$POSTGRES_DB" ]]; then
  createdb --username "$POSTGRES_USER" "$TAXI_DAGSTER_POSTGRES_DATABASE"
fi
