"""The registered models, as code that MLflow runs to load them."""
