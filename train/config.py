"""Configurations of training runs: TOML files read into checked values."""

import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from train.data.clips import Role, Split
from train.data.pool import Pool

T = TypeVar("T", bound=BaseModel)


class ConfigError(ValueError):
    """Which entry of which file is wrong, and what is expected."""


class Config(BaseModel):
    """Base of all configurations: they never change and know all their keys."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    def settings(self) -> dict[str, Any]:
        """Return the entries that a run must keep to be resumed, JSON-able: all but its loop's, which it keeps too."""
        return self.model_dump(mode="json", exclude={"loop"})


class DataConfig(Config):
    """Which clips are used.

    Attributes:
        by: what the split keeps apart, "speaker" or "clip" (train.data.clips.Split).
        test: share held out.
        judge: share for the sync expert alone.
        speakers: only these; none means all.
        memory_gb: decoded clips held at once; a larger corpus is streamed.
    """

    by: Literal["speaker", "clip"] = "speaker"
    test: float = 0.06
    judge: float = 0.0
    speakers: tuple[str, ...] = ()
    memory_gb: float = 6.0

    @property
    def split(self) -> Split:
        """The split these entries describe."""
        return Split(self.by, self.test, self.judge)

    def pool(
        self,
        shards: Sequence[Path],
        role: Role,
        seed: int,
        *,
        rank: int = 0,
        world: int = 1,
        memory_gb: float | None = None,
    ) -> Pool:
        """Return the clips of a role (train.data.pool.Pool).

        Args:
            shards: folders with shards.
            role: whose clips are wanted.
            seed: of the order of a corpus that is streamed.
            rank: this process in a distributed run, which streams its own part of such a corpus.
            world: processes of that run.
            memory_gb: in place of the configuration's.

        Raises:
            ShardError: no shards, or none with such clips.
        """
        return Pool(
            shards,
            self.split,
            (role,),
            speakers=self.speakers or None,
            capacity_bytes=int((self.memory_gb if memory_gb is None else memory_gb) * 2**30),
            seed=seed,
            rank=rank,
            world=world,
        )


def read_config(path: Path, model: type[T], changes: Sequence[str] = ()) -> T:
    """Read a TOML file into `model`.

    Args:
        path: the file.
        model: what it must describe.
        changes: "section.key=value" entries that replace the file's, values in TOML's notation (a bare word is a
            string).

    Raises:
        ConfigError: the file is missing, is no TOML, or has an entry that `model` does not know or take.
    """
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(
            f"{path} cannot be read ({error.strerror}): give a file like those in train/configs"
        ) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} is no TOML: {error}") from error
    for change in changes:
        _change(values, change)
    try:
        return model.model_validate(values)
    except ValidationError as error:
        told = "; ".join(f"{'.'.join(map(str, fault['loc']))}: {fault['msg']}" for fault in error.errors()[:3])
        raise ConfigError(f"{path}: {told}") from error


def _change(values: dict[str, Any], change: str) -> None:
    place, equals, text = change.partition("=")
    if not equals:
        raise ConfigError(f"{change!r} sets nothing: write section.key=value")
    try:
        value = tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        value = text
    *sections, key = place.strip().split(".")
    for section in sections:
        values = values.setdefault(section, {})
        if not isinstance(values, dict):
            raise ConfigError(f"{change!r}: {section} is no section")
    values[key] = value
