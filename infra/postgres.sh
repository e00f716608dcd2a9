#!/bin/sh
# Runs once, when PostgreSQL's folder is empty: one role and one database each, so that neither reads the other's.
set -eu

create() {
    # The password goes through a variable of psql, which quotes it.
    psql --username postgres --set ON_ERROR_STOP=1 --set "password=$2" <<SQL
CREATE ROLE $1 LOGIN PASSWORD :'password';
CREATE DATABASE $1 OWNER $1;
REVOKE CONNECT ON DATABASE $1 FROM PUBLIC;
SQL
}

create dagster "$DAGSTER_PASSWORD"
create mlflow "$MLFLOW_PASSWORD"
