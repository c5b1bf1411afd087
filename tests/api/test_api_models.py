"""The models' files by HTTP: how they stand, fetched, verified, stopped; LoRAs sent to the server."""

from __future__ import annotations

import re
import shutil
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from api_kit import SUBMIT, URL, open_services, settings_for
from starlette.testclient import TestClient
from support.loopback_hub import Fault, LoopbackHub
from support.loras import lora_for

from wan22.api import download_examples
from wan22.api.app import create_app
from wan22.api.download_views import (
    DownloadPlanView,
    Loaded,
    ModelsHealth,
    ModelStatus,
    ModelStatuses,
    Runs,
    RunView,
    Unloaded,
    VerifyAnswer,
)
from wan22.api.handlers.models import LoraView
from wan22.api.services import Services
from wan22.models.catalogue import SPECS, VARIANTS
from wan22.models.demo_weights import SHIPPED
from wan22.orchestrator.residency import ModelKey, Resident
from wan22.tasks import Failure, ModelType

MODELS = "/api/v1/models"
SPEC = SPECS[ModelType.TI2V_5B]
PINNED = VARIANTS[SPEC.model_type]["dev"].revision
REAL = {path.relative_to(SHIPPED / SPEC.slug).as_posix(): path for path in (SHIPPED / SPEC.slug).rglob("*.*")}
BIG = "vae/diffusion_pytorch_model.safetensors"
KEY = ModelKey("TI2V-5B", "dev", "cuda:0", (("transformer", "bf16"),), "group")
LOADED: Resident[Any] = Resident(KEY, SimpleNamespace(size_bytes=24, close=lambda: None), leases=1)


@pytest.fixture
def hub() -> Iterator[LoopbackHub]:
    """A hub that has the small pipeline in the place of the real one."""
    with LoopbackHub({name: path.read_bytes() for name, path in REAL.items()}, repository=SPEC.repository) as hub:
        yield hub


@pytest.fixture
def server(tmp_path: Path, closing: ExitStack, hub: LoopbackHub) -> Services:
    """A server that fetches from it, and uses what it has."""
    return open_services(settings_for(tmp_path, download={"hub": hub.endpoint}, models={"variant": "auto"}), closing)


@pytest.fixture
def user(server: Services) -> TestClient:
    return TestClient(create_app(server), base_url=URL, raise_server_exceptions=False)


@pytest.fixture
def stalled(user: TestClient, hub: LoopbackHub) -> TestClient:
    """While a download waits for the middle of a file."""
    hub.fault(BIG, Fault(stall_after=1000))
    assert user.post(f"{MODELS}/download", json=download_examples.DOWNLOAD).status_code == 202
    until(user, lambda status: status["run"]["sources"])
    return user


def status_of(client: TestClient, name: str = "ti2v-5b") -> dict[str, Any]:
    answer = client.get(f"{MODELS}/status/{name}")
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def until(client: TestClient, is_so: Any) -> dict[str, Any]:
    """The status once it is so."""
    for _ in range(1_000):
        status = status_of(client)
        if is_so(status):
            return status
        time.sleep(0.02)
    raise AssertionError(status)


def ended(client: TestClient) -> dict[str, Any]:
    return until(client, lambda status: status["run"]["state"] != "running")


def fetch(client: TestClient) -> dict[str, Any]:
    assert client.post(f"{MODELS}/download", json={"model_type": "ti2v-5b"}).status_code == 202
    return ended(client)


def damage(server: Services) -> None:
    """Change a byte of a file, and not its size."""
    path = server.models.place_to_fetch(SPEC) / BIG
    path.write_bytes(path.read_bytes()[:-1] + b"x")


def test_before_anything_is_fetched_the_status_says_what_runs_instead(user: TestClient) -> None:
    status = status_of(user, "TI2V-5b")
    assert (status["state"], status["variant"], status["on_disk_bytes"]) == ("missing", "demo", 0)
    assert status["path"].endswith("dev")
    assert (status["revision"], status["verified_at"], status["run"]) == (None, None, None)
    listed = user.get(f"{MODELS}/status").json()["models"]
    assert [one["model_type"] for one in listed] == [model_type.value for model_type in ModelType]


def test_the_plan_fetches_nothing_and_says_what_would_be(user: TestClient, hub: LoopbackHub) -> None:
    plan = user.get(f"{MODELS}/download/plan/ti2v-5b").json()
    assert {file["path"] for file in plan["files"]} == set(REAL)
    assert plan["missing_bytes"] == plan["size_bytes"] == sum(path.stat().st_size for path in REAL.values())
    assert (plan["fits"], plan["eta_s"], plan["revision"]) == (True, None, PINNED)
    assert hub.sent(BIG) == 0


def test_a_download_makes_the_model_ready(user: TestClient) -> None:
    answer = user.post(f"{MODELS}/download", json=download_examples.DOWNLOAD)
    assert answer.status_code == 202
    assert answer.headers["Location"] == f"{MODELS}/status/TI2V-5B"
    assert answer.json()["kind"] == "download"
    status = ended(user)
    assert (status["state"], status["variant"], status["revision"]) == ("ready", "dev", PINNED)
    assert status["run"]["progress"] == 1.0
    assert status["run"]["files_done"] == len(REAL)
    assert status["verified_at"]
    assert status["weights_bytes"] < status["on_disk_bytes"]
    assert user.get(f"{MODELS}/download/plan/TI2V-5B").json()["missing_bytes"] == 0


def test_every_variant_is_told_with_how_it_stands(user: TestClient) -> None:
    told = {one["name"]: one for one in status_of(user)["variants"]}
    assert (told["demo"]["state"], told["dev"]["state"]) == ("ready", "missing")
    assert told["gguf-q8_0"]["repository"] == "QuantStack/Wan2.2-TI2V-5B-GGUF"
    assert (told["bf16"]["repository"], told["bf16"]["path"]) == (None, None)
    assert next(iter(told)) == "bf16", "the ones that are preferred first"


SINGLE_FILE = """
[[variant]]
models = ["TI2V-5B"]
name = "gguf-q5_k_m"
about = "5 to 6 bits a number"
layout = "files"
precision = "gguf-q5_k_m"
repository = "QuantStack/Wan2.2-TI2V-5B-GGUF"
[variant.files]
transformer = { path = "Wan2.2-TI2V-5B-Q5_K_M.gguf" }
"""


@pytest.fixture
def _has_a_variant_of_its_own(tmp_path: Path) -> None:
    """Before the server starts."""
    (tmp_path / "variants").mkdir()
    (tmp_path / "variants" / "mine.toml").write_text(SINGLE_FILE, "utf-8")


@pytest.mark.usefixtures("_has_a_variant_of_its_own")
def test_single_files_are_planned_fetched_and_verified(user: TestClient, hub: LoopbackHub) -> None:
    repository, file = "QuantStack/Wan2.2-TI2V-5B-GGUF", "Wan2.2-TI2V-5B-Q5_K_M.gguf"
    hub.also(repository, {file: b"GGUF of the right name alone"})
    wanted = {"model_type": "TI2V-5B", "variant": "GGUF-Q5_K_M", "source": "hub"}
    plan = user.get(f"{MODELS}/download/plan/ti2v-5b?variant=gguf-q5_k_m").json()
    assert (plan["variant"], plan["repository"]) == ("gguf-q5_k_m", repository)
    folders = {(one["repository"], Path(one["folder"]).name) for one in plan["files"]}
    assert folders == {(repository, "gguf-q5_k_m"), (SPEC.repository, "dev")}
    assert user.post(f"{MODELS}/download", json=wanted).json()["variant"] == "gguf-q5_k_m"
    told = {one["name"]: one for one in ended(user)["variants"]}
    assert told["gguf-q5_k_m"]["state"] == "partial"
    assert "no readable GGUF file" in told["gguf-q5_k_m"]["why"]
    wrong = user.post(f"{MODELS}/verify/ti2v-5b?variant=gguf-q5_k_m&quick=true").json()["wrong"]
    assert {one["path"] for one in wrong} <= {f"transformer/{file}"}


@pytest.mark.parametrize(
    ("call", "first"), [("GET download/plan/ti2v-5b", "dev"), ("POST verify/ti2v-5b", "bf16, dev")]
)
def test_an_unknown_variant_of_a_call_is_told_the_right_ones(user: TestClient, call: str, first: str) -> None:
    method, path = call.split()
    answer = user.request(method, f"{MODELS}/{path}?variant=q9")
    assert answer.status_code == 422
    assert f"must be one of {first}, comfy-fp16" in answer.json()["errors"][0]["message"]


def test_while_it_runs_it_is_seen_joined_and_stopped(stalled: TestClient) -> None:
    assert status_of(stalled)["state"] == "downloading"
    (run,) = stalled.get(f"{MODELS}/download/progress").json()["runs"]
    joined = stalled.post(f"{MODELS}/download", json={"model_type": "TI2V-5B"})
    assert joined.status_code == 202
    assert joined.json()["started_at"] == run["started_at"]
    assert stalled.get(f"{MODELS}/health").json()["running"] == ["TI2V-5B"]
    assert stalled.post(f"{MODELS}/verify/ti2v-5b").json()["code"] == "wrong_state"
    assert stalled.post(f"{MODELS}/download/ti2v-5b/cancel").json()["cancel_requested"]
    status = ended(stalled)
    assert (status["state"], status["run"]["state"]) == ("partial", "cancelled")


def test_a_cancel_of_nothing_is_a_conflict(user: TestClient) -> None:
    answer = user.post(f"{MODELS}/download/ti2v-5b/cancel")
    assert (answer.status_code, answer.json()["code"]) == (409, "wrong_state")
    assert "download/progress" in answer.json()["hint"]


def test_how_a_download_failed_is_in_status_and_health(user: TestClient, hub: LoopbackHub) -> None:
    hub.fault(BIG, Fault(status=404))
    status = fetch(user)
    assert status["run"]["error"]["code"] == "download_failed"
    error = user.get(f"{MODELS}/health").json()["last_error"]
    assert BIG in error["error"]["detail"]
    assert error["model_type"] == "TI2V-5B"


def test_what_does_not_fit_is_refused_with_both_figures(user: TestClient, hub: LoopbackHub) -> None:
    lfs = {"oid": "0" * 64, "size": 10**15}
    hub.list_also({"type": "file", "path": "vae/huge.safetensors", "size": 10**15, "oid": "0" * 40, "lfs": lfs})
    answer = user.post(f"{MODELS}/download", json=download_examples.DOWNLOAD)
    assert answer.status_code == 507
    assert "needs 1,000,0" in answer.json()["detail"]
    assert "bytes are free" in answer.json()["detail"]
    assert not user.get(f"{MODELS}/download/plan/ti2v-5b").json()["fits"]


def test_a_hub_that_does_not_have_it_is_a_problem(user: TestClient) -> None:
    answer = user.post(f"{MODELS}/download", json={"model_type": "T2V-A14B"})
    assert (answer.status_code, answer.json()["code"]) == (502, "download_failed")


@pytest.mark.parametrize(
    ("body", "field", "told"),
    [
        ({"model_typ": "TI2V-5B"}, "model_typ", 'did you mean "model_type"?'),
        ({"model_type": "T2V-14B"}, "model_type", "did you mean T2V-A14B?"),
        ({}, "model_type", "is missing: send one of T2V-A14B, I2V-A14B or TI2V-5B"),
        ({"model_type": ["TI2V-5B"]}, "model_type", "must be one of"),
        ({"model_type": "TI2V-5B", "variant": "demo"}, "variant", "it comes with the server"),
        ({"model_type": "TI2V-5B", "variant": "bf16"}, "variant", "Run `wan22 models convert ti2v-5b"),
        ({"model_type": "TI2V-5B", "variant": 5}, "variant", "must be one of dev, comfy-fp16, gguf-q8_0"),
        ({"model_type": "TI2V-5B", "variant": "../dev"}, "variant", "must be one of dev"),
        ({"model_type": "TI2V-5B", "source": "https://x"}, "source", "must be one of hub"),
        ({"model_type": "TI2V-5B", "source": ["hub"]}, "source", "must be one of hub"),
    ],
)
def test_wrong_fields_are_named(user: TestClient, body: Any, field: str, told: str) -> None:
    answer = user.post(f"{MODELS}/download", json=body)
    assert answer.status_code == 422
    assert told in {error["field"]: error["message"] for error in answer.json()["errors"]}[field]


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "status/T2V-14B"),
        ("GET", "download/plan/T2V-14B"),
        ("POST", "download/T2V-14B/cancel"),
        ("POST", "verify/T2V-14B"),
        ("POST", "unload/T2V-14B"),
    ],
)
def test_an_unknown_name_is_told_the_three(user: TestClient, method: str, path: str) -> None:
    answer = user.request(method, f"{MODELS}/{path}")
    assert answer.status_code == 404
    assert "there are T2V-A14B, I2V-A14B and TI2V-5B." in answer.json()["detail"]


@pytest.mark.parametrize("body", ["[]", '[{"model_type": "TI2V-5B"}]', "null", '"ti2v-5b"', "7", "", "<a/>", "ti2v-5b"])
def test_a_body_that_is_no_object_is_shown_one_that_starts_a_download(
    user: TestClient, hub: LoopbackHub, body: str
) -> None:
    headers = {"Content-Type": "application/json"}
    refused = user.post(f"{MODELS}/download", content=body, headers=headers)
    assert (refused.status_code, refused.json()["code"]) == (400, "malformed_body")
    (shown,) = re.findall(r"such as (\{.*?\})", refused.json()["hint"])
    assert "prompt" not in refused.json()["hint"]
    assert user.post(f"{MODELS}/download", content=shown, headers=headers).status_code == 202
    ended(user)


def test_a_full_verification_finds_what_a_quick_one_can_not(user: TestClient, server: Services) -> None:
    fetch(user)
    damage(server)
    quick = user.post(f"{MODELS}/verify/ti2v-5b", params={"quick": "true"})
    assert (quick.status_code, quick.json()["wrong"], quick.json()["run"]) == (200, [], None)
    full = user.post(f"{MODELS}/verify/ti2v-5b")
    assert (full.status_code, full.json()["run"]["kind"]) == (202, "verify")
    status = ended(user)
    assert (status["state"], status["wrong"]) == ("corrupt", [{"path": BIG, "fault": "wrong content"}])


def test_a_verification_is_of_the_weights_in_use(user: TestClient, server: Services) -> None:
    asked: list[str] = []
    real = server.models.in_use
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(server.models, "in_use", lambda model: asked.append(real(model)) or "demo")
        answer = user.post(f"{MODELS}/verify/ti2v-5b?quick=true")
    assert (answer.status_code, answer.json()["wrong"], len(asked)) == (200, [], 1)


def test_no_name_is_no_variant(user: TestClient) -> None:
    for name in ("", "  ", "none"):
        refused = user.post(f"{MODELS}/download", json={"model_type": "ti2v-5b", "variant": name})
        assert (refused.status_code, refused.json()["errors"][0]["field"]) == (422, "variant")


def test_weights_without_a_source_are_verified_and_not_repaired(user: TestClient) -> None:
    quick = user.post(f"{MODELS}/verify/ti2v-5b?variant=demo&quick=true")
    assert (quick.status_code, quick.json()["hashed"], quick.json()["wrong"]) == (200, True, [])
    full = user.post(f"{MODELS}/verify/ti2v-5b?variant=demo")
    assert (full.status_code, full.json()["run"]["repository"]) == (202, None)
    assert ended(user)["wrong"] == []
    repair = user.post(f"{MODELS}/verify/ti2v-5b?variant=demo&repair=true")
    assert (repair.status_code, repair.json()["code"]) == (409, "wrong_state")
    absent = user.post(f"{MODELS}/verify/ti2v-5b?variant=bf16&quick=true")
    assert (absent.status_code, absent.json()["code"]) == (503, "model_missing")
    assert "wan22 models convert ti2v-5b --to bf16" in absent.json()["detail"]


def test_weights_that_are_known_to_be_wrong_are_not_used(user: TestClient, server: Services) -> None:
    fetch(user)
    damage(server)
    user.post(f"{MODELS}/verify/ti2v-5b")
    ended(user)
    body = {"model_type": "TI2V-5B", "prompt": "a cat", "width": 64, "height": 64, "num_frames": 5}
    refused = user.post(SUBMIT, json=body)
    assert (refused.status_code, refused.json()["code"]) == (503, "model_corrupt")
    assert "wan22 models verify ti2v-5b --repair" in refused.json()["hint"]
    assert user.get("/api/v1/wan-models/health/ti2v-5b").json()["weights"]["state"] == "corrupt"
    user.post(f"{MODELS}/verify/ti2v-5b?repair=true")
    ended(user)
    assert user.post(SUBMIT, json=body).status_code == 202


def test_a_corrupt_model_says_so_everywhere_and_ends_in_the_cure(user: TestClient, server: Services) -> None:
    fetch(user)
    damage(server)
    user.post(f"{MODELS}/verify/ti2v-5b")
    status = ended(user)
    (dev,) = (one for one in status["variants"] if one["name"] == "dev")
    known = user.get("/api/v1/wan-models/health/ti2v-5b").json()["weights"]
    assert {status["state"], dev["state"], known["state"], known["real"]} == {"corrupt"}
    for told in (status, dev, known):
        assert f"{BIG} of TI2V-5B (dev)" in told["why"]
        assert told["why"].endswith("Run `wan22 models verify ti2v-5b --repair`.")
    assert status["run"]["progress"] == 1.0


def test_what_a_quick_verification_found_is_kept_until_it_is_mended(user: TestClient, server: Services) -> None:
    fetch(user)
    path = server.models.place_to_fetch(SPEC) / BIG
    whole = path.read_bytes()
    path.write_bytes(whole[:-100])
    assert user.post(f"{MODELS}/verify/ti2v-5b?quick=true").json()["wrong"] == [{"path": BIG, "fault": "wrong size"}]
    assert status_of(user)["state"] == "corrupt"
    assert user.post(SUBMIT, json={"model_type": "TI2V-5B", "prompt": "a cat"}).json()["code"] == "model_corrupt"
    path.write_bytes(whole)
    assert status_of(user)["state"] == "ready"


def test_a_quick_verification_takes_nothing_back_that_was_hashed(user: TestClient, server: Services) -> None:
    fetch(user)
    damage(server)
    user.post(f"{MODELS}/verify/ti2v-5b")
    hashed_at = ended(user)["verified_at"]
    assert user.post(f"{MODELS}/verify/ti2v-5b?quick=true").json()["wrong"] == []
    status = status_of(user)
    assert (status["state"], status["verified_at"]) == ("corrupt", hashed_at)


def test_a_quick_verification_of_whole_weights_needs_no_hub(user: TestClient, server: Services) -> None:
    fetch(user)
    shutil.rmtree(server.models.place_to_fetch(SPEC) / ".wan22")
    server.downloads._weights._settings = settings_for(  # a hub at whose address nobody answers
        server.settings.storage.home, download={"hub": "http://127.0.0.1:9"}
    ).download
    answer = user.post(f"{MODELS}/verify/ti2v-5b?quick=true")
    assert (answer.status_code, answer.json()["wrong"], answer.json()["hashed"]) == (200, [], False)


def test_another_variant_that_is_fetched_is_no_state_of_the_one_in_use(
    user: TestClient, server: Services, hub: LoopbackHub
) -> None:
    fetch(user)
    lent = server.models.place_to_fetch(SPEC)
    shutil.copytree(lent, lent.parent / "bf16", ignore=shutil.ignore_patterns(".wan22"))
    shutil.rmtree(lent)
    hub.fault(BIG, Fault(stall_after=1000))
    assert user.post(f"{MODELS}/download", json=download_examples.DOWNLOAD).status_code == 202
    status = until(user, lambda status: status["run"]["sources"])
    states = {one["name"]: one["state"] for one in status["variants"]}
    assert (status["state"], states["bf16"], states["dev"]) == ("ready", "ready", "downloading")
    user.post(f"{MODELS}/download/ti2v-5b/cancel")
    run = ended(user)["run"]
    assert (run["state"], run["eta_s"]) == ("cancelled", None)
    assert {file["state"] for file in run["files"]} <= {"done", "waiting", "failed"}


def test_what_is_not_whole_was_not_verified(stalled: TestClient) -> None:
    assert status_of(stalled)["verified_at"] is None


def test_the_newest_failed_task_is_in_health(user: TestClient, server: Services) -> None:
    assert user.get(f"{MODELS}/health").json()["last_task_error"] is None
    task = user.post(SUBMIT, json={"model_type": "TI2V-5B", "prompt": "a cat"}).json()["task_id"]
    claim = server.queue.claim()
    assert claim is not None
    server.queue.fail(claim, Failure(code="out_of_memory", title="Out of memory", detail="It was too much."))
    told = user.get(f"{MODELS}/health").json()["last_task_error"]
    assert (told["task_id"], told["error"]["code"]) == (task, "out_of_memory")


def test_a_parameter_that_is_sent_twice_is_refused(user: TestClient) -> None:
    answer = user.get("/api/v1/wan-models/recommend?vram_gb=16&vram_gb=8")
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, "vram_gb")


def test_a_repair_makes_it_ready_again(user: TestClient, server: Services) -> None:
    fetch(user)
    damage(server)
    answer = user.post(f"{MODELS}/verify/ti2v-5b?repair=true")
    assert (answer.status_code, answer.json()["repair"]) == (202, True)
    status = ended(user)
    assert (status["state"], status["run"]["state"]) == ("ready", "done")
    assert status["run"]["wrong"] == [{"path": BIG, "fault": "wrong content"}]


def test_a_quick_verification_names_what_is_missing(user: TestClient, server: Services) -> None:
    fetch(user)
    (server.models.place_to_fetch(SPEC) / BIG).unlink()
    assert user.post(f"{MODELS}/verify/ti2v-5b?quick=true").json()["wrong"] == [{"path": BIG, "fault": "missing"}]


def test_a_quick_verification_reads_headers(user: TestClient, server: Services) -> None:
    fetch(user)
    path = server.models.place_to_fetch(SPEC) / BIG
    path.write_bytes(b"x" + path.read_bytes()[1:])
    told = user.post(f"{MODELS}/verify/ti2v-5b?quick=true").json()
    assert (told["wrong"], told["run"]) == ([{"path": BIG, "fault": "damaged header"}], None)


@pytest.mark.parametrize("query", ["quick=perhaps", "quik=true"])
def test_parameters_are_checked(user: TestClient, query: str) -> None:
    assert user.post(f"{MODELS}/verify/ti2v-5b?{query}").status_code == 422


def test_a_loaded_model_says_where_and_how(tmp_path: Path, closing: ExitStack) -> None:
    services = open_services(settings_for(tmp_path), closing, residents=lambda: (LOADED,))
    client = TestClient(create_app(services), base_url=URL)
    status = status_of(client)
    assert (status["state"], status["device"], status["precision"]) == ("loaded", "cuda:0", {"transformer": "bf16"})
    health = client.get(f"{MODELS}/health").json()
    (resident,) = health["residents"]
    assert (resident["leases"], resident["idle_s"], resident["size_bytes"]) == (1, None, 24)
    assert resident["used_at"].endswith("Z")
    assert health["resident_bytes"] == 24
    assert health["folders"][0]["free_bytes"] > 0
    assert health["last_error"] is None


def test_an_unloaded_model_is_told_as_it_was(tmp_path: Path, closing: ExitStack) -> None:
    async def unload(model_type: ModelType) -> list[ModelKey]:
        return [KEY] if model_type.value == KEY.model_type else []

    services = open_services(settings_for(tmp_path), closing, residents=lambda: (LOADED,), unload=unload)
    client = TestClient(create_app(services), base_url=URL)
    (told,) = client.post(f"{MODELS}/unload/ti2v-5b").json()["unloaded"]
    assert (told["size_bytes"], told["device"]) == (24, "cuda:0")
    assert client.post(f"{MODELS}/unload/t2v-a14b").json() == {"model_type": "T2V-A14B", "unloaded": []}


def send(
    client: TestClient, content: bytes, name: str = "dusk.safetensors", query: str = "", part: str = "file"
) -> Any:
    return client.post(f"{MODELS}/loras{query}", files={part: (name, content)})


@pytest.fixture
def lora(tmp_path: Path) -> bytes:
    return lora_for(ModelType.TI2V_5B, tmp_path / "elsewhere/x.safetensors").read_bytes()


def kept(services: Services) -> list[str]:
    folder = services.settings.storage.loras_dir
    return sorted(path.name for path in folder.iterdir()) if folder.exists() else []


def test_a_lora_that_was_sent_can_be_asked_for(client: TestClient, services: Services, lora: bytes) -> None:
    answer = send(client, lora, "../Dusk light.safetensors")
    assert answer.status_code == 201
    assert (answer.json()["name"], answer.json()["fits"]) == ("Dusk_light", ["TI2V-5B"])
    assert kept(services) == ["Dusk_light.safetensors"]
    assert [one["name"] for one in client.get(f"{MODELS}/loras").json()["loras"]] == ["Dusk_light"]


def test_a_name_that_is_taken_is_a_conflict_unless_told(client: TestClient, services: Services, lora: bytes) -> None:
    send(client, lora)
    again = send(client, lora)
    assert (again.status_code, again.json()["code"]) == (409, "wrong_state")
    assert send(client, lora, query="?replace=true").status_code == 201
    assert kept(services) == ["dusk.safetensors"]


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("old.ckpt", b"\x80\x04", "is a pickle, which can run code"),
        ("model.gguf", b"GGUF", "must be a .safetensors file"),
        ("bad.safetensors", b"\x80\x04" * 2_000_000, "can't be used as a LoRA. It is cut off"),
        ("empty.safetensors", b"", "can't be used as a LoRA"),
    ],
)
def test_what_is_no_lora_is_refused_by_name(
    client: TestClient, services: Services, name: str, content: bytes, told: str
) -> None:
    answer = send(client, content, name)
    assert answer.status_code == 422
    assert told in answer.json()["errors"][0]["message"]
    assert kept(services) == []


def test_a_form_that_is_not_meant_is_told_how_to_send(client: TestClient, services: Services, lora: bytes) -> None:
    assert send(client, lora, part="lora").json()["errors"][0]["field"] == "lora"
    assert "as a file" in client.post(f"{MODELS}/loras", data={"file": "x"}, files={"y": b""}).text
    assert "more than one part" in client.post(f"{MODELS}/loras", files=[("file", ("a.safetensors", lora))] * 2).text
    typed = client.post(f"{MODELS}/loras", content=lora)
    assert (typed.status_code, "curl -F" in typed.json()["hint"]) == (415, True)
    head = {"Content-Type": "multipart/form-data; boundary=b"}
    begun = b'--b\r\nContent-Disposition: form-data; name="file"; filename="a.safetensors"\r\n\r\n'
    for body in (b"", b"x", b"--b\r\n", begun + lora):
        assert client.post(f"{MODELS}/loras", content=body, headers=head).status_code == 400, body[:20]
    assert kept(services) == []


@pytest.mark.parametrize("length", [256, 257, 300])
def test_a_boundary_that_is_too_long_is_no_fault_of_the_server(client: TestClient, length: int) -> None:
    head = {"Content-Type": f"multipart/form-data; boundary={'b' * length}"}
    answer = client.post(f"{MODELS}/loras", content=b"x", headers=head)
    assert (answer.status_code, answer.json()["code"]) == (400, "malformed_body")


@pytest.mark.parametrize(
    "named",
    [
        "filename=\"=?utf-8?B?TGljaHRnZW3DpGxkZS5zYWZldGVuc29ycw==?=\"; filename*=utf-8''Lichtgem%C3%A4lde.safetensors",
        "filename*=utf-8''Lichtgem%C3%A4lde.safetensors",
        'filename="Lichtgemälde.safetensors"',
    ],
)
def test_a_name_beyond_ascii_is_read_as_any_client_sends_it(client: TestClient, lora: bytes, named: str) -> None:
    head = f"--b\r\nContent-Disposition: form-data; name=file; {named}\r\n\r\n".encode()
    typed = {"Content-Type": "multipart/form-data; boundary=b"}
    answer = client.post(f"{MODELS}/loras", content=head + lora + b"\r\n--b--\r\n", headers=typed)
    assert answer.json()["name"] == "Lichtgemälde"


def test_what_is_over_the_limit_is_refused(tmp_path: Path, closing: ExitStack, lora: bytes) -> None:
    services = open_services(settings_for(tmp_path, models={"max_lora_bytes": 5_000}), closing)
    client = TestClient(create_app(services), base_url=URL)
    assert send(client, lora).status_code == 413
    chunks = iter([b'--b\r\nContent-Disposition: form-data; name="file"; filename="a.safetensors"\r\n\r\n', lora])
    undeclared = client.post(
        f"{MODELS}/loras", content=chunks, headers={"Content-Type": "multipart/form-data; boundary=b"}
    )
    assert undeclared.status_code in (400, 413)
    assert kept(services) == []


@pytest.mark.parametrize(
    ("view", "example"),
    [
        (ModelStatuses, download_examples.STATUSES),
        (ModelStatus, download_examples.STATUS),
        (RunView, download_examples.RUN),
        (RunView, download_examples.CANCELLING),
        (Runs, download_examples.RUNS),
        (DownloadPlanView, download_examples.PLAN),
        (VerifyAnswer, download_examples.QUICK),
        (VerifyAnswer, download_examples.VERIFYING),
        (ModelsHealth, download_examples.HEALTH),
        (Loaded, download_examples.LOADED),
        (Unloaded, download_examples.UNLOADED),
        (LoraView, download_examples.LORA),
    ],
)
def test_the_examples_are_what_they_say(view: Any, example: dict[str, Any]) -> None:
    assert set(view.model_validate(example).model_dump(mode="json")) == set(example)
