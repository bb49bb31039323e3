"""Checkpoints by name: those that the app offers, and the way from a name on the Hugging Face Hub to a folder."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from instructor_core.errors import UserError

_TIMEOUT_S = 4.0  # on a dead network the hub client itself retries for 23 s or more
_NAME = re.compile(r"^[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*$")
_TOKENIZER_FILES = ("tokenizer.json", "spiece.model", "sentencepiece.bpe.model", "tokenizer.model", "vocab.txt")
_PART = re.compile(r"\d+_\w+")  # folder of a module: 1_Pooling


@dataclass(frozen=True)
class Checkpoint:
    """A checkpoint by name."""

    id: str  # short name, used in the menu, in links and as cache key
    source: str  # what InstructorModel takes: a bundled name, a hub name or a folder
    revision: str | None = None  # commit of the hub repository; None for folders
    n_parameters: int = 0  # 0 if not known
    download_mb: int = 0  # the first time; 0 if it is on disk already

    @property
    def label(self) -> str:
        """Name with the size that a visitor should know before choosing it."""
        if self.download_mb == 0:
            return f"{self.id} (on this machine)"
        size = f"{self.download_mb / 1000:.1f} GB" if self.download_mb >= 1000 else f"{self.download_mb} MB"
        return f"{self.id} (download {size})"


BUNDLED = "instructor-mini"

# Sizes and revisions as pull request 4883 of embeddings-benchmark/mteb states them (July 2026, closed, never merged:
# the registry of MTEB itself has no INSTRUCTOR); they were not compared with the hub itself.
CHECKPOINTS = (
    Checkpoint(BUNDLED, BUNDLED, None, 9_500_000, 0),
    Checkpoint(
        "instructor-base", "hkunlp/instructor-base", "0b2f22542d2bd6d60dbff22d22f12c15e6562736", 110_000_000, 440
    ),
    Checkpoint(
        "instructor-large", "hkunlp/instructor-large", "54e5ffb8d484de506e59443b07dc819fb15c7233", 335_000_000, 1340
    ),
    Checkpoint(
        "instructor-xl", "hkunlp/instructor-xl", "ce48b213095e647a6c3536364b9fa00daf57f436", 1_300_000_000, 4970
    ),
)


def local_checkpoint(path: str | Path) -> Checkpoint:
    """Return a registry entry for a folder given on the command line; its name is the folder's."""
    folder = Path(path).expanduser().resolve()
    return Checkpoint(folder.name, str(folder))


def download(name: str, *, revision: str | None = None, tqdm_class: type[Any] | None = None) -> Path:
    """Return the folder of a bundled checkpoint or a repository of the hub, from its cache if it is complete there.

    A ``UserError`` says if the hub has no such repository or revision, or does not answer, once, within seconds.
    """
    here = Path(__file__).resolve().parent
    for assets in (here / "assets", here.parent / "assets"):
        if re.fullmatch(r"[\w-]+", name) and (assets / name / "modules.json").is_file():
            return assets / name
    if not _NAME.match(name):
        raise UserError(
            f"No checkpoint {name!r}: there is no such folder, and a name on the Hugging Face Hub has the form "
            '"owner/name", for example "hkunlp/instructor-base". Check the spelling or the path.'
        )
    from huggingface_hub import HfApi, get_session, snapshot_download
    from huggingface_hub.errors import (
        HfHubHTTPError,
        HFValidationError,
        LocalEntryNotFoundError,
        OfflineModeIsEnabled,
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )

    # The base class of its errors differs with the HTTP library, and that with the version of the hub client.
    transport_error: type[Exception] = import_module(type(get_session()).__module__.partition(".")[0]).HTTPError
    way_out = "or pass the path of a folder that holds the checkpoint."
    try:
        cached = Path(snapshot_download(name, revision=revision, local_files_only=True))
        if _is_complete(cached):
            return cached
    except LocalEntryNotFoundError:
        pass  # not in the cache yet
    except HFValidationError as error:
        raise UserError(f"{name!r} is not a name the Hugging Face Hub allows: {error}") from error
    try:
        info = HfApi().model_info(name, revision=revision, timeout=_TIMEOUT_S)
        files = _wanted_files([sibling.rfilename for sibling in info.siblings or []])
        # By the name of the revision, not by the commit it stands for: only then does the cache know the name later on.
        return Path(snapshot_download(name, revision=revision, allow_patterns=files or None, tqdm_class=tqdm_class))
    except RepositoryNotFoundError as error:
        raise UserError(f"The Hugging Face Hub has no public repository {name!r}. Check the spelling.") from error
    except RevisionNotFoundError as error:
        raise UserError(
            f"{name!r} has no revision {revision!r} on the Hugging Face Hub. Check the spelling."
        ) from error
    except OfflineModeIsEnabled as error:
        raise UserError(
            f"Could not download {name!r}: HF_HUB_OFFLINE is set and the cache does not have it. Unset it, {way_out}"
        ) from error
    except HfHubHTTPError as error:
        raise UserError(
            f"Could not download {name!r}: the Hugging Face Hub answered with an error "
            f"({error.response.status_code if error.response is not None else type(error).__name__}). "
            f"Try again later, {way_out}"
        ) from error
    except (OSError, transport_error) as error:
        raise UserError(
            f"Could not download {name!r}: the Hugging Face Hub did not answer ({type(error).__name__}). "
            f"Check the network, {way_out}"
        ) from error


def _is_complete(folder: Path) -> bool:
    """Whether a download got as far as everything that inference reads."""

    def has_weights(path: Path) -> bool:
        for index in path.glob("*.index.json"):  # the weights lie in several files
            parts = set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values())
            return all((path / part).is_file() for part in parts)
        return any(path.glob("model*.safetensors")) or any(path.glob("pytorch_model*.bin"))

    try:
        parts = [str(part["path"]) for part in json.loads((folder / "modules.json").read_bytes())]
    except (OSError, ValueError, LookupError, TypeError):
        return False
    linear = [part for part in parts if "Dense" in part]
    needed = ["config.json", *(f"{part}/config.json" for part in parts if "Pooling" in part or part in linear)]
    return (
        all((folder / file).is_file() for file in needed)
        and any((folder / file).is_file() for file in _TOKENIZER_FILES)
        and all(has_weights(folder / part) for part in ("", *linear))
    )


def _wanted_files(names: Sequence[str]) -> list[str]:
    """Files of a repository that inference reads: one format of the weights, configuration, tokenizer."""
    safe = any(name.endswith(".safetensors") and "/" not in name for name in names)
    wanted = []
    for name in names:
        folder, _, file = name.rpartition("/")
        if folder and not _PART.fullmatch(folder):
            continue
        if file.endswith(".safetensors"):
            keep = True
        elif file.startswith("pytorch_model"):
            keep = not safe if not folder else f"{folder}/model.safetensors" not in names
        else:
            keep = file.endswith(".json") or file in (*_TOKENIZER_FILES, "merges.txt")
        if keep:
            wanted.append(name)
    return wanted
