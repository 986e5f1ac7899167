"""Reading and describing SavedModels and warm-up files without importing TensorFlow."""
