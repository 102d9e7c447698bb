"""Downloads, and what the native listing tells of models."""

from __future__ import annotations

from sandbox.lmstudio import LMStudioSandbox, Model
from tests.sandbox.lmstudio.client import KEY, call

DOWNLOAD, STATUS = "/api/v1/models/download", "/api/v1/models/download/status"


async def test_a_download_goes_on_until_the_model_is_there() -> None:
    async with LMStudioSandbox() as lm:
        begun = (await call(lm, DOWNLOAD, {"model": "a/b"})).json
        again = (await call(lm, DOWNLOAD, {"model": "a/b"})).json
        lm.engine.downloads.set(begun["job_id"], "paused", share=0.25)
        paused = (await call(lm, f"{STATUS}/{begun['job_id']}")).json
        lm.engine.downloads.set(begun["job_id"], "completed")
        done = (await call(lm, f"{STATUS}/{begun['job_id']}")).json
        listed = (await call(lm, "/api/v1/models")).json["models"]
        known = (await call(lm, DOWNLOAD, {"model": "a/b"})).json
    assert again["job_id"] == begun["job_id"]
    assert (begun["status"], begun["downloaded_bytes"]) == ("downloading", 0)
    assert begun["estimated_completion"].endswith("Z")
    assert begun["bytes_per_second"] > 0
    assert paused["status"] == "paused"
    assert 0 < paused["downloaded_bytes"] < paused["total_size_bytes"]
    assert "bytes_per_second" not in paused
    assert done["downloaded_bytes"] == done["total_size_bytes"]
    assert done["completed_at"] >= done["started_at"]
    assert listed[-1]["key"] == "a/b"
    assert listed[-1]["loaded_instances"] == []
    assert known == {"status": "already_downloaded"}


async def test_a_link_names_the_model_and_only_a_link_takes_a_quantization() -> None:
    async with LMStudioSandbox() as lm:
        refused = await call(lm, DOWNLOAD, {"model": "a/b", "quantization": "Q4_K_M"})
        link = {"model": "https://huggingface.co/a/b-GGUF", "quantization": "Q4_K_M"}
        taken = (await call(lm, DOWNLOAD, link)).json
        lm.engine.downloads.set(taken["job_id"], "completed")
        assert "a/b-GGUF" in lm.engine.models
    assert refused.json["error"]["param"] == "quantization"


async def test_an_unknown_job_is_not_found() -> None:
    async with LMStudioSandbox() as lm:
        missing = await call(lm, f"{STATUS}/job_0")
    assert missing.status == 404
    assert missing.json["error"] == {
        "type": "job_not_found",
        "message": "Download job with id 'job_0' not found",
    }


async def test_the_listing_tells_variants_and_leaves_embeddings_undescribed() -> None:
    variants = (f"{KEY}@q4_k_m", f"{KEY}@q8_0")
    embedding = Model("nomic/embed", kind="embedding", loaded=False)
    async with LMStudioSandbox([Model(KEY, variants=variants), embedding]) as lm:
        chat, embed = (await call(lm, "/api/v1/models")).json["models"]
    assert chat["variants"] == list(variants)
    assert chat["selected_variant"] == variants[0]
    assert chat["description"] is None
    assert not {"description", "architecture", "capabilities", "variants"} & set(embed)
