"""Data versions: DVC's command line, called one at a time.

DVC owns the output folders through dvc.yaml, so an output is recorded with ``dvc commit`` after it was computed.
"""

import hashlib
import json
import subprocess
import sys
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import dagster as dg
from filelock import FileLock
from ruamel.yaml import YAML

from multigen_core.errors import UserError
from multigen_core.stages import output_of, stage_named
from pipelines.project import STATE, address, project_root

if TYPE_CHECKING:
    from dvc_objects.db import ObjectDB

__all__ = ["Dvc", "object_path"]

REMOTE = "store"
"""What DVC's config calls the remote that ``set_remote`` names."""


class Dvc(dg.ConfigurableResource):
    """The project's data versions. DVC's own lock waits only 3 s, so calls queue at a lock of ours."""

    root: str = str(project_root())

    def commit(self, stage: str, partition: str | None) -> str:
        """Records the stage's finished output, inputs and params in dvc.lock; returns the output's ``.dir`` md5.

        Raises UserError with DVC's last line when it refuses.
        """
        self._call("commit", "--force", "--quiet", address(stage, partition))
        md5 = self.recorded(stage, partition)
        if md5 is None:
            raise UserError(f"dvc.lock got no version of {address(stage, partition)!r}: is the stage in dvc.yaml?")
        return md5

    def recorded(self, stage: str, partition: str | None) -> str | None:
        """The md5 of the stage's output in dvc.lock; None when there is none."""
        place = output_of(stage_named(stage), partition).as_posix()
        return {out["path"]: out["md5"] for out in self._entry(stage, partition).get("outs", [])}.get(place)

    def read(self, stage: str, partition: str | None) -> dict[str, str]:
        """Path -> md5 of what the stage had read when its output was recorded."""
        return {dep["path"]: dep["md5"] for dep in self._entry(stage, partition).get("deps", [])}

    def changed(self) -> set[str]:
        """Addresses (``stage@partition``) whose code, params, inputs or output differ from what dvc.lock records."""
        report = json.loads(self._call("status", "--json"))
        return set(report)

    def lock_digest(self) -> str:
        """Digest of dvc.lock: of all versions together."""
        return hashlib.sha256(Path(self.root, "dvc.lock").read_bytes()).hexdigest()[:16]

    def cache(self) -> Path:
        """The folder of DVC's cache."""
        return (Path(self.root) / self._call("cache", "dir").strip()).resolve()

    def remote(self) -> str:
        """Address of the default data remote. Raises UserError when there is none."""
        name = self._call("config", "core.remote").strip()
        for line in self._call("remote", "list").splitlines():
            if line.split() and line.split()[0] == name:
                return line.split()[1]
        raise UserError("there is no data remote: name one with `python -m pipelines remote ADDRESS`")

    def set_remote(self, address: str, endpoint: str | None) -> None:
        """Makes ``address`` (a folder, s3://bucket/path, ...) the default data remote of this checkout.

        Raises UserError for an address with a password in it: DVC would write it down.
        """
        if "@" in address.partition("://")[2].partition("/")[0]:
            raise UserError(
                "the address of a data remote must not hold a name or password: set AWS_ACCESS_KEY_ID and "
                "AWS_SECRET_ACCESS_KEY in the environment, or use ~/.aws/credentials"
            )
        # Local: an address of one machine is no part of the project.
        self._call("remote", "add", "--local", "--force", "--default", REMOTE, address)
        # Or DVC would take whatever the store returns for what was asked.
        self._call("remote", "modify", "--local", REMOTE, "verify", "true")
        if endpoint is not None:
            self._call("remote", "modify", "--local", REMOTE, "endpointurl", endpoint)

    def push(self) -> None:
        """Copies every recorded output to the data remote. Raises UserError with DVC's last line when it fails."""
        self._call("push", "--quiet")

    def absent_in_remote(self, objects: Collection[str]) -> set[str]:
        """Those of the md5s that the data remote does not hold: asked one by one.

        `dvc push` and `dvc status --cloud` take a folder for whole when its listing is there, whatever was lost of it.

        Raises UserError when the remote does not answer.
        """
        with self._remote_objects() as remote:
            return set(objects) - set(remote.list_oids_exists(list(objects)))

    def send(self, objects: Collection[str]) -> None:
        """Copies objects of the cache to the data remote. Raises UserError when it does not take them."""
        from dvc.fs import LocalFileSystem

        cache = self.cache()
        with self._remote_objects() as remote:
            paths = [str(object_path(cache, md5)) for md5 in objects]
            remote.add(paths, LocalFileSystem(), list(objects))

    @contextmanager
    def _remote_objects(self) -> Iterator["ObjectDB"]:
        """The default remote's store of objects."""
        from dvc.repo import Repo

        address = self.remote()
        try:
            with Repo(self.root) as repo:
                yield repo.cloud.get_remote_odb()
        except Exception as error:  # each kind of store raises its own
            what = " ".join(str(error).split())[:200]
            raise UserError(f"the data remote {address} does not answer: {what or type(error).__name__}") from error

    def _entry(self, stage: str, partition: str | None) -> dict[str, Any]:
        """The stage's part of dvc.lock; empty when there is none."""
        lock = Path(self.root, "dvc.lock")
        if not lock.is_file():
            return {}
        stages: dict[str, Any] = (YAML(typ="safe").load(lock) or {}).get("stages", {})
        return dict(stages.get(address(stage, partition), {}))

    def _call(self, *arguments: str) -> str:
        root = Path(self.root)
        if not (root / ".dvc").is_dir():
            raise UserError(f"{root} holds no .dvc folder: run from the root of a clone, or run `dvc init` there")
        (root / STATE).mkdir(exist_ok=True)
        with FileLock(root / STATE / "dvc-calls.lock"):
            if not (root / ".git").exists() and not (root / ".dvc" / "config.local").is_file():
                # In a container there is no git checkout, which DVC must be told.
                _dvc(root, "config", "--local", "core.no_scm", "true")
            call = _dvc(root, *arguments)
        if call.returncode:
            lines = [line for line in call.stderr.splitlines() if line.strip()]
            wrong = next((line for line in lines if line.startswith("ERROR")), lines[-1] if lines else "no message")
            raise UserError(f"`dvc {' '.join(arguments)}` failed: {wrong.removeprefix('ERROR: ')}")
        return call.stdout


def object_path(cache: Path, md5: str) -> Path:
    """Where a cache keeps the object of this md5."""
    return cache / "files" / "md5" / md5[:2] / md5[2:]


def _dvc(root: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "dvc", *arguments]
    return subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
