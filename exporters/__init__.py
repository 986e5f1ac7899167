"""Writing servable SavedModel versions from trained models."""
