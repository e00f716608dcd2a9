#!/bin/sh
# Writes Dagster's settings into its home (PostgreSQL when the environment names it), then becomes the command.
set -eu
python -c "from pipelines.instance import dagster_home; from pipelines.project import project_root; dagster_home(project_root())"
exec "$@"
