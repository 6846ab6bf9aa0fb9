"""Engines that run one network: ONNX Runtime (default), torch (reference), OpenVINO; each is imported when built."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Protocol

import numpy as np

from sparcc_pipeline.errors import ModelError
from sparcc_pipeline.volume import Float32Array


class Network(Protocol):
    """A network: (n, channels, rows, columns) float32 in, the same layout out."""

    def __call__(self, batch: Float32Array) -> Float32Array: ...


class OnnxNetwork:
    """A network run by ONNX Runtime on the processor."""

    def __init__(self, path: Path, threads: int) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        # The arena keeps every buffer it ever had; without it the peak is that of one batch.
        options.enable_cpu_mem_arena = False
        # A thread that waits by spinning takes half a core from other work on this machine.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        self._session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])

    def __call__(self, batch: Float32Array) -> Float32Array:
        output: Float32Array = self._session.run(None, {"image": batch})[0]
        return output


class TorchNetwork:
    """A network run by torch on the processor: the reference engine.

    `threads` is a setting of the whole process; None leaves it as it is, so that a training keeps its own.
    """

    def __init__(self, module: Any, threads: int | None) -> None:
        import torch

        if threads is not None:
            torch.set_num_threads(threads)
        self._torch, self._module = torch, module

    def __call__(self, batch: Float32Array) -> Float32Array:
        with self._torch.inference_mode():
            output: Float32Array = self._module(self._torch.from_numpy(batch)).numpy()
        return output


class OpenVinoNetwork:
    """A network run by OpenVINO on the processor, always in 32-bit floating point.

    Its default precision is bf16 where the processor has that, which shifts logits by up to 0.3: scores would depend on
    the processor.
    """

    def __init__(self, path: Path, threads: int) -> None:
        try:
            import openvino
        except ModuleNotFoundError as missing:
            raise ModelError(
                f"expected OpenVINO for the engine openvino, found no module {missing.name}; install "
                "'sparcc-pipeline[fast]' or use the engine onnx"
            ) from missing
        settings = {
            "INFERENCE_PRECISION_HINT": "f32",
            "INFERENCE_NUM_THREADS": str(threads),
            "PERFORMANCE_HINT": "LATENCY",
        }
        self._model = openvino.Core().compile_model(str(path), "CPU", settings)

    def __call__(self, batch: Float32Array) -> Float32Array:
        # The result is a view of the engine's memory, which the next call overwrites.
        return np.array(self._model(batch)[0], dtype=np.float32)
