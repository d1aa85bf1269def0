"""Keep what was measured, cell by cell, so that a run that was stopped goes on: DIR/cells.json."""

import json
import os
from pathlib import Path
from typing import Any

from benchmarks.wire.verdict import Record

VERSION = 1


class StoreError(ValueError):
    """A file of cells cannot be gone on with; the message says in one line why and what to do."""


class Store:
    """The records of a matrix, written to a file after every change.

    `runs` are the facts of each run that contributed, oldest first; a record's "run" is its place in it.
    """

    def __init__(self, path: Path, settings: dict[str, Any]) -> None:
        self.path = path
        self.settings = settings
        self.runs: list[dict[str, str]] = []
        self.cells: dict[str, Record] = {}

    @classmethod
    def resume(cls, path: Path, settings: dict[str, Any]) -> "Store":
        """Go on with the file at `path`; begin when there is none.

        Raises:
            StoreError: it cannot be read, or other settings made it.
        """
        store = cls(path, settings)
        if not path.exists():
            return store
        remedy = "use another --out, or leave --resume away to begin again"
        try:
            document = json.loads(path.read_text(encoding="utf-8"))
            version, made_with = document["version"], document["settings"]
            store.runs, store.cells = document["runs"], document["cells"]
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise StoreError(f"{path} is no file of cells ({type(error).__name__}): {remedy}") from error
        if version != VERSION or made_with != settings:
            raise StoreError(f"{path} was made with {made_with}, this run has {settings}: {remedy}")
        return store

    def begin(self, facts: dict[str, str]) -> None:
        """Note a run that is going to add cells."""
        self.runs.append(facts)

    def has(self, name: str) -> bool:
        """Return whether cell `name` was measured; one that broke is tried again."""
        return name in self.cells and "error" not in self.cells[name]

    def put(self, name: str, record: Record) -> None:
        """Add a record and write the file, which is whole at every moment."""
        self.cells[name] = {**record, "run": len(self.runs) - 1}
        document = {"version": VERSION, "settings": self.settings, "runs": self.runs, "cells": self.cells}
        part = self.path.with_suffix(".part")
        part.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
        os.replace(part, self.path)
