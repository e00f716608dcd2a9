"""The assets, one module per part of the pipeline; each body calls ``pipelines.step.run_stage``."""
