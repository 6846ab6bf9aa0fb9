"""A bundle is opened as a whole or refused by name, and both engines agree."""

from __future__ import annotations

import hashlib
import json
import shutil
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from sparcc_pipeline.errors import ModelError
from sparcc_pipeline.imaging.model.bundle import FORMAT, Bundle
from sparcc_pipeline.imaging.model.engines import OnnxNetwork, OpenVinoNetwork, TorchNetwork
from sparcc_pipeline.imaging.model.networks import BONE_NETWORK, EDEMA_NETWORK, build_network, export_onnx, mean_of
from sparcc_pipeline.imaging.segmentation import load_segmenter
from sparcc_pipeline.volume import STIR, T1, Float32Array, Geometry, SeriesRef, TissueMaps, Volume

torch = pytest.importorskip("torch", reason="needs the extra train")

MEMBERS = 2
SMALL: dict[str, dict[str, Any]] = {
    "bones": {**BONE_NETWORK, "channels": [4, 8, 8, 8, 8]},
    "edema": {**EDEMA_NETWORK, "channels": [4, 8, 8, 8]},
}


def read(file: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(file.read_text())
    return content


def write(file: Path, content: object) -> None:
    file.write_text(json.dumps(content))


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle of small, untrained networks."""
    folder = tmp_path_factory.mktemp("bundle") / "tiny"
    for part in ("configs", "models"):
        (folder / part).mkdir(parents=True)
    torch.manual_seed(7)
    inference: dict[str, Any] = {}
    for name, count in (("bones", 1), ("edema", MEMBERS)):
        members = [build_network(SMALL[name]).eval() for _ in range(count)]
        weights = {str(index): member.state_dict() for index, member in enumerate(members)}
        torch.save(weights, folder / "models" / f"{name}.pt")
        inference[name] = {"network_def": SMALL[name], "members": count, "mean_probability": name == "edema"}
        whole = mean_of(members) if name == "edema" else members[0]
        export_onnx(whole, (1, 3, 64, 64), folder / "models" / f"{name}.onnx")
    inference["edema"]["threshold"] = 0.4
    line = {"intercept": 0.0, "slope": 1.0}
    for key, reading_sd in (("calibration", 0.5), ("calibration_stir_alone", 1.5)):
        inference["edema"][key] = {"edema": line, "intense": line, "deep": line, "reading_sd": reading_sd}
    write(folder / "configs" / "inference.json", inference)
    files = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    metadata = {
        "sparcc_format": FORMAT,
        "name": "tiny",
        "version": "0.0.1",
        "sha256": {
            path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in files
        },
    }
    write(folder / "configs" / "metadata.json", metadata)
    return folder


@pytest.fixture
def bundle(made: Path, tmp_path: Path) -> Path:
    """A copy that a test may damage."""
    return Path(shutil.copytree(made, tmp_path / "tiny"))


@pytest.fixture(scope="module")
def volume() -> Volume:
    """Noise, with a size that fits neither the networks' pixels nor their stride."""
    shape = (6, 67, 90)
    signal = np.random.default_rng(4).gamma(2, 60, shape).astype(np.float32)
    geometry = Geometry(
        shape=shape,
        origin_mm=(0.0, 0.0, 0.0),
        directions=((0.0, 1.0, 0.0), (0.0, 0.0, -1.0), (1.0, 0.0, 0.0)),
        spacing_mm=(4.0, 0.9, 1.1),
    )
    return Volume(signal, geometry, SeriesRef(None, None))


def test_a_whole_bundle_opens_with_its_name_and_version(bundle: Path) -> None:
    opened = Bundle.open(bundle)

    assert (opened.name, opened.version, opened.edema_threshold) == ("tiny", "0.0.1", 0.4)
    assert opened.file("models/bones.onnx") == bundle / "models" / "bones.onnx"
    provenance = load_segmenter(bundle).provenance
    assert provenance == {"name": "tiny", "version": "0.0.1", "sha256": opened.sha256, "engine": "onnx"}


def test_the_hash_of_the_model_follows_every_file_but_not_the_folder(bundle: Path, tmp_path: Path) -> None:
    before = Bundle.open(bundle).sha256
    moved = bundle.rename(tmp_path / "elsewhere")
    assert Bundle.open(moved).sha256 == before

    metadata = read(moved / "configs" / "metadata.json")
    (moved / "models" / "edema.pt").write_bytes(b"other weights")
    metadata["sha256"]["models/edema.pt"] = hashlib.sha256(b"other weights").hexdigest()
    write(moved / "configs" / "metadata.json", metadata)
    assert Bundle.open(moved).sha256 != before


@pytest.mark.parametrize(
    "name", ["models/bones.onnx", "models/edema.onnx", "models/bones.pt", "models/edema.pt", "configs/inference.json"]
)
def test_one_changed_byte_is_found(bundle: Path, name: str) -> None:
    content = bytearray((bundle / name).read_bytes())
    content[len(content) // 2] ^= 1
    (bundle / name).write_bytes(content)

    with pytest.raises(ModelError, match=rf"expected {name} with SHA-256 .*install the package again"):
        Bundle.open(bundle)


@pytest.mark.parametrize("name", ["models/bones.onnx", "models/edema.pt", "configs/inference.json"])
def test_a_missing_file_is_named(bundle: Path, name: str) -> None:
    (bundle / name).unlink()

    with pytest.raises(ModelError, match=f"{name} in .*found none"):
        Bundle.open(bundle)


def test_a_folder_without_a_model_is_named(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"metadata\.json, found none"):
        Bundle.open(tmp_path)


@pytest.mark.parametrize("found", ["sparcc-bundle/0", "sparcc-bundle/10", None])
def test_another_format_is_refused(bundle: Path, found: str | None) -> None:
    file = bundle / "configs" / "metadata.json"
    write(file, {**read(file), "sparcc_format": found})

    with pytest.raises(ModelError, match=f"{FORMAT}, found {found!r} in .*tiny"):
        Bundle.open(bundle)


@pytest.mark.parametrize("content", [b"", b"{", b"[1]", b"\xff\xfe{}", b"null"])
def test_broken_metadata_is_named(bundle: Path, content: bytes) -> None:
    (bundle / "configs" / "metadata.json").write_bytes(content)

    with pytest.raises(ModelError, match=r"metadata\.json"):
        Bundle.open(bundle)


def test_broken_network_definitions_are_named(bundle: Path) -> None:
    (bundle / "configs" / "inference.json").write_bytes(b"{")
    metadata = read(bundle / "configs" / "metadata.json")
    metadata["sha256"]["configs/inference.json"] = hashlib.sha256(b"{").hexdigest()
    write(bundle / "configs" / "metadata.json", metadata)

    with pytest.raises(ModelError, match=r"inference\.json"):
        Bundle.open(bundle)


@pytest.mark.parametrize("key", ["name", "version", "sha256"])
def test_incomplete_metadata_is_refused(bundle: Path, key: str) -> None:
    metadata = read(bundle / "configs" / "metadata.json")
    del metadata[key]
    write(bundle / "configs" / "metadata.json", metadata)

    with pytest.raises(ModelError, match=f"expected metadata.json to name {key}, found none"):
        Bundle.open(bundle)


def test_a_file_that_the_metadata_does_not_list_is_not_used(bundle: Path) -> None:
    (bundle / "models" / "extra.onnx").write_bytes(b"unchecked")

    with pytest.raises(ModelError, match=r"models/extra\.onnx"):
        Bundle.open(bundle).file("models/extra.onnx")


def random_batch(count: int, size: int) -> Float32Array:
    return np.random.default_rng(8).normal(0, 1, (count, 3, size, size + 16)).astype(np.float32)


def test_both_engines_find_the_same_bones(made: Path, volume: Volume) -> None:
    found = load_segmenter(made, engine="onnx", threads=1).find_bones(volume)
    reference = load_segmenter(made, engine="torch", threads=1).find_bones(volume)

    assert found.anatomy.shape == volume.geometry.shape
    # Untrained networks find several classes in noise, so that equal maps are no accident.
    assert len(np.unique(found.anatomy)) > 1
    assert np.mean(found.anatomy != reference.anatomy) <= 1e-4
    assert found.ligamentous.shape == volume.geometry.shape[:1]
    assert_allclose(found.ligamentous, reference.ligamentous, atol=1e-4)


@pytest.mark.parametrize("name", ["bones", "edema"])
@pytest.mark.parametrize(("count", "size"), [(1, 64), (3, 96)])
def test_both_engines_give_the_same_numbers_for_any_batch_and_size(
    made: Path, name: str, count: int, size: int
) -> None:
    opened = Bundle.open(made)
    batch = random_batch(count, size)
    onnx = OnnxNetwork(opened.file(f"models/{name}.onnx"), 1)(batch)
    reference = TorchNetwork(opened.torch_module(name), 1)(batch)

    assert onnx.shape == reference.shape == (count, SMALL[name]["out_channels"], size, size + 16)
    assert np.ptp(onnx) > 0
    assert_allclose(onnx, reference, atol=1e-4)


@pytest.mark.parametrize("name", ["bones", "edema"])
@pytest.mark.parametrize(("count", "size"), [(1, 64), (3, 96)])
def test_openvino_gives_the_numbers_of_onnx_runtime(made: Path, name: str, count: int, size: int) -> None:
    pytest.importorskip("openvino", reason="needs the extra fast")
    file = Bundle.open(made).file(f"models/{name}.onnx")
    batch = random_batch(count, size)
    network = OpenVinoNetwork(file, 1)

    found = network(batch)
    network(-batch)

    assert_allclose(found, OnnxNetwork(file, 1)(batch), atol=1e-4)


def test_a_missing_openvino_is_named(made: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "openvino", None)

    with pytest.raises(ModelError, match=r"sparcc-pipeline\[fast\]"):
        load_segmenter(made, engine="openvino")


def test_edema_is_the_mean_probability_of_its_members(made: Path) -> None:
    weights = torch.load(made / "models" / "edema.pt", weights_only=True)
    batch = random_batch(2, 64)
    single = []
    for index in range(MEMBERS):
        member = build_network(SMALL["edema"]).eval()
        member.load_state_dict(weights[str(index)])
        with torch.inference_mode():
            single.append(torch.sigmoid(member(torch.from_numpy(batch))).numpy())

    assert np.abs(single[0] - single[1]).max() > 1e-3
    found = TorchNetwork(Bundle.open(made).torch_module("edema"), 1)(batch)
    assert_allclose(found, np.mean(single, axis=0), atol=1e-6)


def test_the_number_of_threads_changes_nothing(made: Path, volume: Volume) -> None:
    one = load_segmenter(made, threads=1).find_bones(volume)
    two = load_segmenter(made, threads=2).find_bones(volume)

    assert_array_equal(one.anatomy, two.anatomy)


@pytest.mark.parametrize(("bones_from", "reading_sd"), [((STIR, T1), 0.5), ((STIR,), 1.5)])
def test_the_calibration_is_that_of_the_contrasts_that_showed_the_bones(
    made: Path, volume: Volume, bones_from: tuple[str, ...], reading_sd: float
) -> None:
    nothing = np.zeros_like(volume.signal)
    tissue = TissueMaps(
        volume.geometry, nothing.astype(np.uint8), nothing, 0.4, nothing > 0, nothing[:, 0, 0], bones_from=bones_from
    )

    calibration = load_segmenter(made).calibration_of(tissue)

    assert calibration is not None and calibration.reading_sd == reading_sd


def test_a_bundle_states_its_own_smallest_detectable_change_where_its_metadata_hold_one(
    made: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "copy"
    shutil.copytree(made, folder)
    assert "smallest_detectable_change" not in Bundle.open(folder).facts

    metadata = folder / "configs" / "metadata.json"
    write(metadata, {**read(metadata), "smallest_detectable_change": 3.9})
    assert Bundle.open(folder).facts["smallest_detectable_change"] == "3.9"
