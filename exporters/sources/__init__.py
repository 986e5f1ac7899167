"""Where trained models come from: one module per kind of source."""
