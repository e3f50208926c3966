"""One module for each format: how it is read, and how it is written."""

from __future__ import annotations
