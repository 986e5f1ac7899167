"""Writing servable SavedModel versions from Keras models."""
