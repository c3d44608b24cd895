import importlib.metadata as m
import importlib.util
import json
import os
import shutil
import sys
import sysconfig


def version(name):
    try:
        return m.version(name)
    except m.PackageNotFoundError:
        return ""


out = {"python": sys.version.split()[0], "gpus": []} | {n: version(n) for n in ("torch", "transformers", "safetensors", "numpy")}
if out["torch"]:
    try:
        import torch

        out["cuda"] = torch.version.cuda or ""
        for i in range(torch.cuda.device_count()):
            free, total = torch.cuda.mem_get_info(i)
            out["gpus"].append({"name": torch.cuda.get_device_name(i), "memory": total, "free": free})
        out["bf16"] = bool(out["gpus"]) and torch.cuda.is_bf16_supported(including_emulation=False)
        compiler = os.environ.get("CC") or shutil.which("gcc") or shutil.which("clang")
        scheme = sysconfig.get_default_scheme().replace("posix_local", "posix_prefix")  # where triton looks for what it includes
        headers = os.path.exists(os.path.join(sysconfig.get_paths(scheme)["include"], "Python.h"))
        out["compiles"] = importlib.util.find_spec("triton") is not None and compiler is not None and headers
    except Exception as e:
        out["broken"] = f"{type(e).__name__}: {e}"
print("lwtrain " + json.dumps(out))
