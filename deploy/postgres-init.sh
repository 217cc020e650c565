#!/bin/bash
# The Postgres image runs this once, on an empty volume, as the superuser: creates the platform's role,
# which is none, and two databases of its own, for trips and for Dagster's records. Afterwards the
# superuser has no password: it gets in only through the container's own socket.
set -euo pipefail

as_superuser=(psql --username "$POSTGRES_USER" --dbname "$POSTGRES_DB" --no-psqlrc --quiet
  --set ON_ERROR_STOP=1)

# psql quotes the variables. The password is in no argument, which other processes could see.
if [[ $TAXI_POSTGRES_USER != "$POSTGRES_USER" ]]; then
  "${as_superuser[@]}" --set role="$TAXI_POSTGRES_USER" <<'SQL'
\getenv password POSTGRES_PASSWORD
CREATE ROLE :"role" LOGIN NOSUPERUSER PASSWORD :'password';
SQL
fi
for database in "$TAXI_POSTGRES_DATABASE" "$TAXI_DAGSTER_POSTGRES_DATABASE"; do
  "${as_superuser[@]}" --set role="$TAXI_POSTGRES_USER" --set database="$database" <<'SQL'
SELECT count(*) > 0 AS there FROM pg_database WHERE datname = :'database' \gset
\if :there
  ALTER DATABASE :"database" OWNER TO :"role";
\else
  CREATE DATABASE :"database" OWNER :"role";
\endif
SQL
done
if [[ $TAXI_POSTGRES_USER != "$POSTGRES_USER" ]]; then
  "${as_superuser[@]}" --set superuser="$POSTGRES_USER" <<'SQL'
ALTER ROLE :"superuser" PASSWORD NULL;
SQL
fi
