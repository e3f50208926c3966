"""The models of a definition: its schema."""
