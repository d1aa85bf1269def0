"""Open ONNX files with ONNX Runtime, so that the provider asked for is the provider obtained."""

from pathlib import Path
from typing import Any, Final

from models.errors import ModelError

Session = Any
"""onnxruntime.InferenceSession; the package carries no types."""

PROVIDERS: Final = {"cpu": "CPUExecutionProvider", "cuda": "CUDAExecutionProvider"}


def open_session(path: Path | bytes, provider: str = "cpu", threads: int = 2) -> Session:
    """Open an ONNX model.

    Idle workers sleep instead of spinning: a call shares its cores with codecs and the face tracker.

    Args:
        path: the ONNX file, or its content.
        provider: "cpu" or "cuda".
        threads: most threads of one run on the CPU, at least 1.

    Raises:
        ModelError: when ONNX Runtime or the provider is missing, or the file is no ONNX model.
        ValueError: when `provider` or `threads` is out of range.
    """
    if provider not in PROVIDERS:
        raise ValueError(f"provider must be one of {', '.join(PROVIDERS)}, not {provider!r}")
    if threads < 1:
        raise ValueError(f"threads must be at least 1, not {threads}")
    try:
        import onnxruntime
    except ModuleNotFoundError as error:
        raise ModelError("ONNX Runtime is missing: pip install 'lipline[cpu]' (or [gpu], never both)") from error
    wanted = PROVIDERS[provider]
    if wanted not in onnxruntime.get_available_providers():
        raise ModelError(f"this ONNX Runtime has no {wanted}: {_remedy(provider)}")
    if isinstance(path, Path) and not path.is_file():
        raise ModelError(f"{path} is not a file: check the path of the model")
    session = _open(onnxruntime, path, wanted, threads)
    obtained = session.get_providers()
    if obtained[0] != wanted:
        raise ModelError(f"{wanted} did not start and ONNX Runtime fell back to {obtained[0]}: {_remedy(provider)}")
    # Otherwise a provider that fails in mid-call is replaced silently by the CPU.
    session.disable_fallback()
    return session


def _open(onnxruntime: Any, path: Path | bytes, wanted: str, threads: int) -> Session:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.log_severity_level = 3
    providers = [wanted] if wanted == PROVIDERS["cpu"] else [wanted, PROVIDERS["cpu"]]
    try:
        return onnxruntime.InferenceSession(
            path if isinstance(path, bytes) else str(path), options, providers=providers
        )
    # ONNX Runtime's errors have no common class but Exception.
    except Exception as error:
        reason = " ".join(str(error).split())[:160]
        name = "the content" if isinstance(path, bytes) else path
        raise ModelError(f"{name} is not a model that ONNX Runtime can open ({reason}): {_hint(path)}") from error


def _hint(path: Path | bytes) -> str:
    if isinstance(path, Path) and path.suffix.lower() in (".pth", ".pt", ".ckpt", ".tar"):
        return f"it looks like a PyTorch checkpoint, run `lipline convert {path.name} {path.stem}.onnx` first"
    return "download or convert it again"


def _remedy(provider: str) -> str:
    if provider == "cuda":
        return "pip uninstall onnxruntime && pip install 'lipline[gpu]', with an NVIDIA driver and CUDA 12, or use cpu"
    return "pip install 'lipline[cpu]'"
