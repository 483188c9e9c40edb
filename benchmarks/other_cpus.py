#!/usr/bin/env python
"""Does the published set-up give the same bits on other CPUs? The recorded pictures, on CPUs that qemu-user imitates.

python benchmarks/other_cpus.py    # needs apt-get install qemu-user

Besides, this CPU's own features are hidden from the C library and from NumPy. (OPENBLAS_CORETYPE does not reach ATLAS.)
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from dataclasses import asdict

from nsfw_caffe.fidelity.measure import Measured, arguments
from nsfw_caffe.fidelity.verify import recorded_pictures
from nsfw_caffe.options import ScoringOptions
from nsfw_caffe.system import processes

# Without AVX; with it; with AVX2 and FMA, of Intel and of AMD; with all that qemu knows (it knows no AVX-512).
QEMU_CPUS = ("Nehalem", "SandyBridge", "Haswell", "EPYC-Rome", "max")

HIDDEN = {
    "C library without AVX2, FMA, AVX-512": {"GLIBC_TUNABLES": "glibc.cpu.hwcaps=-AVX2,-FMA,-FMA4,-AVX512F,-AVX512VL"},
    "NumPy without AVX2, FMA, AVX-512": {"NPY_DISABLE_CPU_FEATURES": "X86_V3 X86_V4 AVX512_ICL AVX512_SPR"},
}


def main() -> int:
    """Print a line for each CPU; return 1 if some bits differ from the record."""
    os.environ.pop("OPENBLAS_CORETYPE", None)  # NumPy's OpenBLAS would run code that an imitated CPU does not have
    pictures = recorded_pictures()
    recorded = [Measured(one.sha256, one.tensors["ijg9d"], one.scores["ijg9d"]["atlas"]) for one in pictures]
    command = processes.command(
        "fidelity.measure", *arguments(ScoringOptions.published()), *(str(one.path) for one in pictures)
    )
    set_ups: dict[str, tuple[list[str], dict[str, str]]] = {"this CPU": ([], {})}
    set_ups |= {name: ([], variables) for name, variables in HIDDEN.items()}
    set_ups |= {f"qemu-x86_64 -cpu {cpu}": (["qemu-x86_64", "-cpu", cpu], {}) for cpu in QEMU_CPUS}
    same = True
    for name, (emulator, variables) in set_ups.items():
        start = time.monotonic()
        run = subprocess.run(
            [*emulator, *command],
            env=processes.environment(**variables),
            capture_output=True,
            text=True,
            check=False,
        )
        if run.returncode != 0:
            sys.exit(f"{name}: status {run.returncode}: {run.stderr.strip()}")
        measured = json.loads(run.stdout)["pictures"]
        equal = sum(one == asdict(other) for one, other in zip(measured, recorded, strict=True))
        same = same and equal == len(recorded)
        print(f"{name:<40} {equal} of {len(recorded)} equal, {time.monotonic() - start:.0f} s", flush=True)
    return 0 if same else 1


if __name__ == "__main__":
    sys.exit(main())
