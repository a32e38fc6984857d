"""The published JSON schema of network descriptions."""

from __future__ import annotations

import importlib.resources
import json
from typing import Any

__all__ = ["load_schema"]


def load_schema() -> dict[str, Any]:
    """Return the schema (draft 2020-12) that `NetworkDescription.to_json` follows."""
    file = importlib.resources.files(__name__) / "network_description.schema.json"
    return json.loads(file.read_text(encoding="utf-8"))
