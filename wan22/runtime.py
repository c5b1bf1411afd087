"""The composition root: builds every part in order, hands them to each other, closes them in reverse."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import ExitStack, asynccontextmanager

import psutil
from fastapi import FastAPI

from wan22 import __version__
from wan22.api.app import create_app
from wan22.api.services import Services
from wan22.dashboard.pages import add_pages
from wan22.hardware.attention import choose_attention
from wan22.hardware.choose import choose_device
from wan22.hardware.probe import probe
from wan22.hardware.process import prepare_process
from wan22.media.outputs import Outputs
from wan22.media.uploads import Uploads
from wan22.models import demo_weights
from wan22.models.downloads import Downloads
from wan22.models.loras.arrivals import Arrivals
from wan22.models.loras.folders import Loras
from wan22.models.run_status import RunStatus, event_of
from wan22.models.variants import Models
from wan22.models.weights import Weights
from wan22.monitoring.gatherer import Gatherer
from wan22.monitoring.keeper import Keeper
from wan22.monitoring.monitor import Monitor
from wan22.monitoring.reading import Reading
from wan22.monitoring.rules import rules_of
from wan22.monitoring.webhook import Webhook
from wan22.orchestrator.optimizations.advisor import Advisor
from wan22.orchestrator.orchestrator import Orchestrator
from wan22.orchestrator.party import Ended, RunResult
from wan22.orchestrator.planning import Planner
from wan22.orchestrator.residency import ModelKey, Residency, Resident
from wan22.orchestrator.tuning import Tuning
from wan22.pipelines.device_memory import held_bytes
from wan22.pipelines.kept import Kept
from wan22.pipelines.loaded import LoadedModel
from wan22.pipelines.loader import preload
from wan22.pipelines.picture_cache import PictureCache
from wan22.pipelines.prompt_cache import PromptCache
from wan22.queue.claim import Claim
from wan22.queue.feed import Feed
from wan22.queue.queue import Queue
from wan22.settings import Settings
from wan22.store import Store
from wan22.tasks import EventType, ModelType, Plan, Silent
from wan22.worker.worker import Worker, each

Painter = Callable[[Claim], RunResult]


class Runtime:
    """One server's worth of machinery. The worker drains the queue while the app's lifespan runs."""

    def __init__(self, settings: Settings, *, painter: Callable[[Outputs], Painter] | None = None) -> None:
        """Build everything; `painter` makes what stands in for the models.

        Raises ConfigurationError if the device or the attention of the settings is not there, and ConfigurationError,
        StoreError or DiskFull if the folders or the database can't be used.
        """
        device = choose_device(probe(), settings.device.device)  # now, or every submit would be refused later
        choose_attention(probe(), device, settings.device.attention)  # the same
        self.settings = settings
        with ExitStack() as closing:
            self._build(closing, painter)
            self._closing = closing.pop_all()
        self.app = self._build_app()

    def _build(self, closing: ExitStack, painter: Callable[[Outputs], Painter] | None) -> None:
        storage = self.settings.storage
        store = Store.open(storage.database_path)
        closing.callback(store.close)
        self.feed = Feed(store)
        self.queue = Queue(store, self.feed, self.settings.queue)
        self.queue.recover()
        self.outputs = Outputs(storage.outputs_dir, encoder_threads=self.settings.media.encoder_threads)
        self.uploads = Uploads(storage.uploads_dir)
        self.outputs.sweep()
        self.uploads.sweep()
        self.models = Models(self.settings.models, storage.home / "models")
        self.loras = Loras(
            (*self.settings.models.loras_dirs, storage.loras_dir),  # uploads last: they take no name from others
            shipped=[demo_weights.LORAS],
            lent=[folder / "loras" for folder in self.settings.models.comfyui_dirs],
        )
        self.arrivals = Arrivals(storage.loras_dir, max_bytes=self.settings.models.max_lora_bytes, loras=self.loras)
        self.arrivals.sweep()
        self.downloads = Downloads(Weights(self.models, self.settings.download), self._tell_of_download)
        closing.callback(self.downloads.close)
        self.residency = self._make_residency(closing)
        self.tuning = Tuning(self.settings.device, probe)
        self.queue.loaded = self._loaded
        self.planner = Planner(
            self.models,
            self.settings.device,
            probe,
            loras=self.loras,
            ours=held_bytes,
            correction=self.queue.vram_correction,
        )
        self.advisor = Advisor(self.settings, self.planner, self.tuning, probe, storage.gains_path)
        self._orchestrator = Orchestrator(
            self.models,
            self.residency,
            self.outputs,
            self.uploads,
            loras=self.loras,
            prompts=PromptCache(Kept(storage.prompts_dir, storage.prompt_cache_bytes)),
            pictures=PictureCache(Kept(storage.pictures_dir, storage.picture_cache_bytes)),
        )
        self.monitor = Monitor.of(store, self.queue, storage.home, on_reading=self._tell_of_reading)
        self.alerts = self._make_alerts(store)
        if painter:
            self.worker = Worker(self.queue, each(painter(self.outputs)))
        else:
            self.worker = Worker(self.queue, self._run, together=True, warm_up=self._warm_up)

    def _make_residency(self, closing: ExitStack) -> Residency[LoadedModel]:
        budget = int(psutil.virtual_memory().total * self.settings.models.ram_fraction)
        residency: Residency[LoadedModel] = Residency(budget, self._announce)
        closing.callback(residency.close)
        return residency

    def _make_alerts(self, store: Store) -> Keeper:
        url = self.settings.alerts.webhook_url
        gatherer = Gatherer(self.monitor, self.queue, self.models)
        rules, webhook = rules_of(self.settings.alerts), Webhook(url) if url else None
        return Keeper(store, self.feed, rules, gatherer.gather, webhook=webhook)

    def _run(self, claims: Sequence[Claim], ended: Ended) -> None:
        self.tuning.prepare()  # here, since it holds for the calling thread
        self._orchestrator.run(claims, ended)

    def _loaded(self) -> frozenset[str]:
        return frozenset(resident.key.name for resident in self.residency.residents())

    def _warm_up(self) -> None:
        prepare_process(compiled=self.settings.storage.compiled_dir if self.settings.device.compile else None)
        preload()

    def _announce(self, what: EventType, key: ModelKey) -> None:
        self.feed.publish(what, None, {"model_type": key.model_type, "variant": key.variant, "device": key.device})

    def _tell_of_download(self, status: RunStatus) -> None:
        self.feed.publish(EventType.MODEL_DOWNLOAD, None, event_of(status))

    def _tell_of_reading(self, reading: Reading) -> None:
        self.feed.publish(EventType.SYSTEM_METRICS, None, reading.model_dump(mode="json", exclude={"at"}))

    async def _load(self, model_type: ModelType, plan: Plan) -> Resident[LoadedModel]:
        def work() -> Resident[LoadedModel]:
            self.tuning.prepare()
            return self._orchestrator.load(model_type, plan, Silent(self.worker.check))

        return await self.worker.between(work)

    async def _unload(self, model_type: ModelType) -> Sequence[ModelKey]:
        return await self.worker.between(lambda: self.residency.unload(model_type.value))

    def _build_app(self) -> FastAPI:
        services = Services(
            settings=self.settings,
            queue=self.queue,
            feed=self.feed,
            outputs=self.outputs,
            uploads=self.uploads,
            planner=self.planner,
            models=self.models,
            loras=self.loras,
            arrivals=self.arrivals,
            downloads=self.downloads,
            residents=self.residency.residents,
            load=self._load,
            unload=self._unload,
            between=self.worker.between,
            tuning=self.tuning,
            advisor=self.advisor,
            monitor=self.monitor,
            alerts=self.alerts,
            probe=probe,
            worker_alive=lambda: self.worker.is_alive,
            version=__version__,
        )
        app = create_app(services, lifespan=self._lifespan)
        add_pages(app)
        return app

    @asynccontextmanager
    async def _lifespan(self, _: FastAPI) -> AsyncIterator[None]:
        self.worker.start()
        self.monitor.sampler.start()
        self.alerts.start()
        try:
            yield
        finally:
            self.alerts.stop()
            self.monitor.sampler.stop()
            await self.worker.stop(self.settings.server.shutdown_grace_s)

    def close(self) -> None:
        """Drop the models, then close the database; the app's lifespan must have ended."""
        self._closing.close()
