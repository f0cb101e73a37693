"""What a loaded model runs on, as shown in the log, `palaver doctor` and the operations page."""

from dataclasses import dataclass

_MEBIBYTE = 1 << 20


@dataclass(frozen=True, kw_only=True, slots=True)
class Placement:
    """Where a model is evaluated.

    Args:
        device: name of the processor or GPU.
        total_bytes, free_bytes: the device's memory, after loading.
        layers: the model's, its output counted as one.
        offloaded: how many of them are on a GPU.
        flash_attention: whether it is used.
        fitted: what is less than was wanted, so that it fits into memory; empty if nothing is.
    """

    device: str = ""
    total_bytes: int = 0
    free_bytes: int = 0
    layers: int = 0
    offloaded: int = 0
    flash_attention: bool = False
    fitted: str = ""

    def __str__(self) -> str:
        memory = f"{self.free_bytes // _MEBIBYTE:,} of {self.total_bytes // _MEBIBYTE:,} MiB free"
        flash = "on" if self.flash_attention else "off"
        return (
            f"{self.device}, {memory}, {self.offloaded} of {self.layers} layers on the GPU, "
            f"flash attention {flash}"
        )
