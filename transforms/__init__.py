"""Graph passes under the Graph Transform Tool's names, a pipeline around them, and verification."""
