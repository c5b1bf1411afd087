"""One run that makes what a plan says. A run that was stopped, or killed, goes on after the last whole file.

Every file appears by a rename once it is complete, the one that makes the folder count as whole at the very end.
"""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path

from wan22.errors import Cancelled, DiskFull, ModelCorrupt, ServerFault
from wan22.models.convert.layout import Shard
from wan22.models.convert.originals import Originals
from wan22.models.convert.plan import RECORD, ConversionPlan, Kept, Transformer
from wan22.models.convert.slices import written
from wan22.models.convert.sums import find_sums, keep_sums, remove_sums
from wan22.models.download import DownloadProgress, FileProgress
from wan22.models.download.disk import publish, write_json
from wan22.models.download.lock import only_one
from wan22.models.download.manifest import OURS
from wan22.models.download.names import PART
from wan22.models.download.pace import Clock
from wan22.models.download.progress import Meter
from wan22.models.files import size
from wan22.models.verification import wrong_in

_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})


class Conversion:
    """Writes the files of a plan, one after the other. One object is one run.

    With `originals` what was made is compared, byte for byte, with what is made of the source once more, and then the
    source is removed.
    """

    def __init__(self, plan: ConversionPlan, *, originals: Originals | None = None) -> None:
        self._plan = plan
        self._originals = originals
        self._meter = Meter((FileProgress(path, shard.size) for _, shard, path in plan.shards()), Clock())
        self._stop = threading.Event()

    def run(self) -> None:
        """Blocks until the target is whole.

        Raises Cancelled, DiskFull before the first byte or where the disk fills up meanwhile, ModelCorrupt,
        DownloadFailed while another process writes there, and ServerFault.
        """
        self._plan.refuse_what_does_not_fit()
        self._meter.enter("running")
        try:
            with self._writing(self._plan.target), only_one(self._plan.target):
                self._make_all()
        except Cancelled:
            self._meter.enter("cancelled")
            raise
        except BaseException:
            self._meter.enter("failed")
            raise
        self._meter.enter("done")

    def cancel(self) -> None:
        """Make `run` raise Cancelled within a slice. From any thread, also before `run`."""
        self._stop.set()

    def progress(self) -> DownloadProgress:
        """How it stands now: `done_bytes` and `fetched_bytes` are those that were written, or compared."""
        return self._meter.snapshot()

    def _make_all(self) -> None:
        plan = self._plan
        if not plan.is_going_on():
            self._begin_anew()
        for wrong in wrong_in(plan.target):
            (plan.target / wrong.path).unlink(missing_ok=True)
        *others, index = plan.kept
        for kept in others:
            self._keep(kept)
        hashed = find_sums(plan.target)
        for transformer, shard, path in plan.shards():
            if not plan.is_made(path, shard.size):
                self._make(transformer, shard, path)
                hashed.pop(path, None)
            self._meter.file(path, "done", shard.size)
        for transformer in plan.transformers:
            for name, text in transformer.layout.texts.items():
                self._put(f"{transformer.name}/{name}", text.encode())
        self._keep_sums({path: value for path, value in hashed.items() if path.endswith(".safetensors")})
        self._keep(index)
        if self._originals:
            self._compare_all()
            self._originals.remove()

    def _begin_anew(self) -> None:
        """What an earlier run made of something else, or into something else, is no longer true."""
        for folder in ("transformer", "transformer_2"):
            shutil.rmtree(self._plan.target / folder, ignore_errors=True)
        for kept in self._plan.kept:
            (self._plan.target / kept.path).unlink(missing_ok=True)
        remove_sums(self._plan.target)
        write_json(self._plan.target / OURS / RECORD, self._plan.record)

    def _keep_sums(self, known: Mapping[str, str]) -> None:
        """Of all files but the index, which comes last and has no weights."""
        made = [path for _, _, path in self._plan.shards()]
        texts = [f"{one.name}/{name}" for one in self._plan.transformers for name in one.layout.texts]
        others = [kept.path for kept in self._plan.kept[:-1]]
        keep_sums(self._plan.target, [*others, *made, *texts], known, self._check_stop)

    def _make(self, transformer: Transformer, shard: Shard, path: str) -> None:
        final = self._plan.target / path
        part = final.with_name(final.name + PART)
        final.parent.mkdir(parents=True, exist_ok=True)
        self._meter.file(path, "fetching", 0)
        with part.open("wb") as file:
            for offset, data in self._counted(transformer, shard, path):
                file.seek(offset)
                file.write(data)
            file.flush()
            os.fsync(file.fileno())
        publish(part, final)

    def _counted(self, transformer: Transformer, shard: Shard, path: str) -> Iterator[tuple[int, memoryview]]:
        """What the file has, with a look at the stop and a word to the meter for every slice."""
        done = 0
        for offset, data in written(shard, transformer.layout, transformer.tensors):
            self._check_stop()
            yield offset, data
            done += data.nbytes
            self._meter.got(path, data.nbytes, done)

    def _keep(self, kept: Kept) -> None:
        """The file under a second name where the file system can, else a copy; small ones are always copied."""
        self._check_stop()
        source, final = (self._plan.source / kept.path).resolve(), self._plan.target / kept.path
        if kept.is_weights and size(final) == kept.size:
            return
        final.parent.mkdir(parents=True, exist_ok=True)
        part = final.with_name(final.name + PART)
        part.unlink(missing_ok=True)
        if not (kept.is_weights and _has_linked(source, part)):
            self._copy(source, part)
        publish(part, final)

    def _copy(self, source: Path, part: Path) -> None:
        with source.open("rb") as old, part.open("wb") as new:
            while block := old.read(1 << 20):
                self._check_stop()
                new.write(block)
            new.flush()
            os.fsync(new.fileno())

    def _put(self, path: str, content: bytes) -> None:
        final = self._plan.target / path
        final.with_name(final.name + PART).write_bytes(content)
        publish(final.with_name(final.name + PART), final)

    def _compare_all(self) -> None:
        for transformer, shard, path in self._plan.shards():
            self._meter.file(path, "checking", 0)
            with (self._plan.target / path).open("rb") as file:
                for offset, data in self._counted(transformer, shard, path):
                    file.seek(offset)
                    if file.read(data.nbytes) != data:
                        raise self._wrong(path)
            self._meter.file(path, "done", shard.size)
        for kept in self._plan.kept:
            if not _is_same(self._plan.source / kept.path, self._plan.target / kept.path):
                raise self._wrong(kept.path)

    def _wrong(self, path: str) -> ModelCorrupt:
        (self._plan.target / path).unlink(missing_ok=True)
        return ModelCorrupt(
            f"{self._plan.target / path} is not what was written: the disk or the memory is at fault.",
            hint="No original was removed. Look after the machine, then start the conversion again.",
        )

    def _check_stop(self) -> None:
        if self._stop.is_set():
            raise Cancelled("The conversion was cancelled.", hint="Start it again to go on: whole files are kept.")

    @contextlib.contextmanager
    def _writing(self, target: Path) -> Iterator[None]:
        """Maps the block's OSError: DiskFull where the disk filled up, else ServerFault."""
        try:
            yield
        except OSError as error:
            if error.errno in _FULL:
                raise DiskFull(
                    f"The disk of {target} is full, with {self._left():,} bytes still to be written.",
                    hint="Free space and start the conversion again: whole files are kept.",
                ) from error
            raise ServerFault(
                f"The conversion into {target} failed: {error}.",
                hint="Check that the account may read the source and write there, then start the conversion again.",
            ) from error

    def _left(self) -> int:
        progress = self._meter.snapshot()
        return progress.size_bytes - progress.done_bytes


def _has_linked(source: Path, final: Path) -> bool:
    """Whether the file has a second name now: not across disks, and not on every file system."""
    try:
        os.link(source, final)
    except OSError:
        return False
    return True


def _is_same(one: Path, other: Path) -> bool:
    if one.samefile(other):
        return True
    with one.open("rb") as left, other.open("rb") as right:
        while block := left.read(1 << 20):
            if right.read(len(block)) != block:
                return False
        return not right.read(1)
