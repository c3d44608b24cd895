"""The worker of lwtrain's torch engine: each rank of a run is one, started by torch.distributed.run.

It computes what the conductor, the Go program, asks for: forward, backward, update, save, load, answers. It knows nothing
of losses, schedules or data. Messages come over a socket to rank 0, which passes them on; all ranks do the same at the
same time.
"""

import gc
import json
import os
import socket
import sys
import threading
import time
import traceback

RANK, LOCAL = int(os.environ["RANK"]), int(os.environ["LOCAL_RANK"])
SELDOM = ("open", "reference", "close_reference", "load", "save", "answer")  # messages that may take longer


def leave_with_conductor():
    """Ends this process when the conductor or the launcher does, whatever it is at: the pipe that all of them have from the
    conductor closes."""
    os.read(0, 1)
    os._exit(1)


class Worker:
    def __init__(self, wire, device):
        self.wire, self.device = wire, device
        self.model = self.reference = None
        self.doing = "waiting"

    def run(self):
        # By itself each rank would collect garbage at a moment of its own, and all others wait for it in their next collective.
        # So all do it behind the same messages: of what is new, which takes 1 ms; of everything, half a second, seldom.
        gc.disable()
        while True:
            self.doing = "waiting"
            head, arrays = self.wire.hear()
            op = head.pop("op")
            if op == "quit":
                return
            self.doing = op
            getattr(self, "do_" + op)(head, arrays)
            gc.collect(2 if op in SELDOM else 1)

    def done(self, head=None, **arrays):
        self.wire.send({"op": "done"} | (head or {}), **arrays)

    def do_shared(self, head, _):
        """Says which ranks do not see a file with a text: another machine's disk may need a moment."""
        self.doing, sees = f"looking for {head['path']}", 0
        for _ in range(head["seconds"]):
            if os.path.exists(head["path"]) and open(head["path"]).read() == head["text"]:
                sees = 1
                break
            time.sleep(1)
        rows = [torch.zeros(1) for _ in range(dist.get_world_size())]
        dist.all_gather(rows, torch.tensor([float(sees)]))
        self.done({"missing": [rank for rank, row in enumerate(rows) if not row.item()]})

    def do_open(self, how, _):
        self.doing = f"opening the model ({how['config']})"
        ranks, shards = dist.get_world_size(), how["shard"] or dist.get_world_size()
        if ranks % shards:
            raise ValueError(f"{ranks} ranks cannot be groups of {shards} (engine.shard)")
        shape, names = ((ranks,), ("shard",)) if ranks == shards else ((ranks // shards, shards), ("replicate", "shard"))
        self.mesh, self.how = init_device_mesh(self.device.type, shape, mesh_dim_names=names), how
        for group in self.mesh.get_all_groups():
            wire.bound(group, self.device)
        torch.use_deterministic_algorithms(how["deterministic"])
        torch.utils.deterministic.fill_uninitialized_memory = False
        self.model = model.Trained(how, self.mesh, self.device)
        c = self.model.lm.hf.config
        size = getattr(c, "head_dim", None) or c.hidden_size // c.num_attention_heads
        way = attention.measure(self.device, self.model.flash, c.num_attention_heads, c.num_key_value_heads, size, how["capacity"])
        if self.device.type == "cuda":  # the peak is that of training
            torch.cuda.empty_cache()
            torch.cuda.reset_peak_memory_stats(self.device)
        self.wire.wait()  # NCCL, which comes next, is less patient with a rank that still reads
        self.done({"attention": way})

    def do_reference(self, how, _):
        self.doing = f"opening the reference ({how['config']})"
        self.reference = model.Sharded(self.how | how, self.mesh, self.device, train=False)
        self.wire.wait()
        self.done()

    def do_close_reference(self, *_):
        self.reference = None
        self.done()

    def mine(self, head, arrays):
        """This rank's pack of a row: one for each rank."""
        packs = head["packs"]
        parts = {name: a.split([p["tokens"] for p in packs]) for name, a in arrays.items()}
        self.doing = f"{head['what']} of a pack of {packs[RANK]['tokens']} tokens"
        return packs[RANK] | {name: parts[name][RANK] for name in parts}, max(p["tokens"] for p in packs)

    def gather(self, nll, at, tokens, most):
        """The losses of all ranks' packs, position by position, [ranks * most] on rank 0."""
        row = torch.zeros(most)
        row[at] = nll.detach().float().cpu()
        rows = [torch.empty(most) for _ in range(dist.get_world_size())] if RANK == 0 else None
        dist.gather(row, rows)
        return torch.cat(rows) if RANK == 0 else row

    def do_learn(self, head, arrays):
        pack, most = self.mine(head, arrays)
        nll, at = self.model.losses(pack)
        weights = pack["weights"]
        told = self.gather(nll, at, pack["tokens"], most)
        if head["weigh"]:  # weights follow from the losses of the row's packs
            self.wire.send({"op": "weigh"}, nll=told)
            weights = self.wire.hear()[1]["weights"].split(most)[RANK]
        (nll * weights[at].to(self.device)).sum().backward()
        self.done(None, **({} if head["weigh"] else {"nll": told}))

    def do_score(self, head, arrays):
        with torch.no_grad():
            pack, most = self.mine(head, arrays)
            scored = self.reference if head["reference"] else self.model
            nll, at = scored.losses(pack, head["base"])
            scored.rest()
            self.done(None, nll=self.gather(nll, at, pack["tokens"], most))

    def do_update(self, head, _):
        self.doing = f"update {head['step']}"
        norm = self.model.update(head["step"], head["rate"], head["divisor"], head["max_norm"])
        peak = torch.tensor([model.peak(self.device)], dtype=torch.int64)
        if dist.get_world_size() > 1:
            dist.all_reduce(peak)
        self.done({"norm": repr(norm), "peak": int(peak)})  # JSON has no NaN

    def do_speed(self, *_):
        speed = torch.tensor([model.speed(self.device, self.model.bf16)], dtype=torch.float64)
        if dist.get_world_size() > 1:
            dist.all_reduce(speed)
        self.done({"gflops": float(speed)})

    def do_drop(self, *_):
        self.model.drop()
        self.done()

    def do_gradients(self, *_):
        for name, p in self.model.trained.items():
            full = torch.zeros(p.shape)
            a, b = self.model.rows_here(p)
            if self.model.first_copy:
                full[a:b] = self.model.gradient(name).cpu()
            if dist.get_world_size() > 1:
                dist.all_reduce(full)
            self.wire.send({"op": "gradient", "name": name}, values=full)
        self.done()

    def do_save(self, head, _):
        self.doing = f"saving into {head['dir']}"
        if self.model.first_copy:
            parts.write(os.path.join(head["dir"], f"part-{self.model.shard:05d}.safetensors"), self.model.state)
        self.wire.wait()
        self.done()

    def do_load(self, head, _):
        self.doing = "loading a checkpoint"
        self.model.restore(head["tensors"])
        self.wire.wait()
        self.done()

    def do_answer(self, head, arrays):
        self.doing = "answering"
        out = answer.answer(self.model, self.wire, head["prompts"], arrays["ids"])
        self.done({"stopped": out is None}, **({} if out is None else {"ids": out}))


def describe(device):
    """What rank 0 says first."""
    gpu = torch.cuda.get_device_name(device) if device.type == "cuda" else ""
    return {
        "op": "hello", "protocol": wire.PROTOCOL, "token": os.environ.get("LWTRAIN_TOKEN"), "ranks": dist.get_world_size(),
        "torch": torch.__version__, "transformers": transformers.__version__, "device": device.type, "gpu": gpu,
    }  # fmt: skip


def fail(e, doing):
    """Leaves what went wrong where the conductor looks for it, and ends this process: the launcher ends the others."""
    text = f"{type(e).__name__}: {e}" if str(e) else type(e).__name__
    kind = "error"
    full = ("can't allocate memory", "out of memory", "STATUS_ALLOC_FAILED")  # the last is cuBLAS's, which then finds no room to begin
    if isinstance(e, (torch.OutOfMemoryError, MemoryError)) or any(w in text for w in full):
        kind = "memory"
    elif isinstance(e, wire.Closed):
        kind = "closed"
    elif isinstance(e, dist.DistError) or any(w in text for w in ("gloo", "NCCL", "closed by peer", "Connection reset")):
        kind = "peer"  # what follows from another rank's end
    traceback.print_exception(e)
    path = os.path.join(os.environ["LWTRAIN_LOG"], f"error-{RANK}.json")
    try:
        with open(path + ".tmp", "w") as f:
            json.dump({"rank": RANK, "kind": kind, "doing": doing, "error": text}, f)
        os.rename(path + ".tmp", path)
        sys.stderr.flush()
    finally:
        os._exit(1)  # also where the disk has no room for what went wrong


def main():
    device = torch.device("cuda", LOCAL) if torch.cuda.is_available() else torch.device("cpu")
    if device.type == "cuda":
        torch.cuda.set_device(device)
        torch.backends.cuda.matmul.allow_bf16_reduced_precision_reduction = False  # a product's parts are summed in float32
        torch.backends.cudnn.allow_tf32 = False  # float32 is float32, in convolutions too
    worker = None
    try:
        dist.init_process_group("cpu:gloo,cuda:nccl" if device.type == "cuda" else "gloo", timeout=wire.BEHIND[device.type])
        attention.register(device)
        sock = None
        if RANK == 0:
            sock = socket.socket(socket.AF_UNIX)
            sock.connect(os.environ["LWTRAIN_SOCKET"])
        worker = Worker(wire.Wire(sock), device)
        worker.wire.send(describe(device))
        worker.run()
    except BaseException as e:
        fail(e, worker.doing if worker else "starting")
    os._exit(0)  # at once: what there is to save is saved


if __name__ == "__main__":
    log = os.open(os.path.join(os.environ["LWTRAIN_LOG"], f"rank-{RANK}.log"), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    os.dup2(log, 1)
    os.dup2(log, 2)
    threading.Thread(target=leave_with_conductor, daemon=True).start()
    import torch
    import torch.distributed as dist
    import transformers
    from torch.distributed.device_mesh import init_device_mesh

    import answer
    import attention
    import model
    import parts
    import wire

    main()
