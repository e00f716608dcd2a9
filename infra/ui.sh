#!/usr/bin/env bash
# Dagster's and MLflow's pages on loopback, over the same storage as `make demo`. Ctrl-C ends both.
set -euo pipefail
# Job control: otherwise background programs start deaf to interrupts, and Dagster would not end its children.
set -m
cd "$(dirname "$0")/.."

dagster_port="${DAGSTER_PORT:-3000}"
mlflow_port="${MLFLOW_PORT:-5000}"
export MULTIGEN_ROOT="$PWD"
DAGSTER_HOME="$(python -m pipelines home)"
export DAGSTER_HOME
export MLFLOW_DISABLE_TELEMETRY=true MLFLOW_SERVER_ENABLE_JOB_EXECUTION=false
export PYTHONPATH="$PWD${PYTHONPATH:+:$PYTHONPATH}"
state="$PWD/.multigen/mlflow"
mkdir -p "$state"

pids=()
finish() {
    trap - EXIT INT TERM
    for pid in "${pids[@]}"; do kill "$pid" 2>/dev/null || true; done
    for pid in "${pids[@]}"; do wait "$pid" 2>/dev/null || true; done
}
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

mlflow server --host 127.0.0.1 --port "$mlflow_port" --workers 1 \
    --backend-store-uri "${MLFLOW_TRACKING_URI:-sqlite:///$state/mlflow.db}" \
    --default-artifact-root "file://$state/artifacts" >"$state/server.log" 2>&1 &
pids+=($!)
dagster dev -w workspace.yaml --host 127.0.0.1 --port "$dagster_port" --log-level warning &
pids+=($!)

echo "Dagster on http://127.0.0.1:$dagster_port, MLflow on http://127.0.0.1:$mlflow_port; Ctrl-C ends both"
wait -n "${pids[@]}"
