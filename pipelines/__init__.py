"""Dagster, DVC and MLflow around multigen_core: thin orchestration code only."""
