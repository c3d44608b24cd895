"""Messages: between the conductor (the Go program) and rank 0 over a socket, and from rank 0 to the other ranks.

A message is 4 bytes "LWT1", two lengths (uint32 of the head, uint64 of the body), a head of JSON, padded with spaces to a
multiple of 8 by the conductor, and a body of arrays, raw, little-endian, one after the other: head["arrays"] = [[name, dtype,
length], ...]. Nothing is pickled.
"""

import datetime
import json
import struct

import torch
import torch.distributed as dist

PROTOCOL = 2  # of what heads say; the conductor refuses another one
MAGIC = b"LWT1"
KINDS = {"i32": torch.int32, "f32": torch.float32, "i64": torch.int64}
PREFIX = struct.Struct("<4sIQ")
MOST_HEAD = 64 << 20


class Closed(Exception):
    """The conductor has gone, or the socket to it is cut."""

    def __init__(self):
        super().__init__("the connection to lwtrain broke")


# How long ranks wait for the next message, or for one that still writes. The conductor may be stopped over night, or a disk be slow:
# a rank that has ended is seen by its closed connection and by the launcher, not by the clock.
PATIENCE = datetime.timedelta(days=30)

# How long a rank may be behind the others in a pass. Torch's own bound, 30 minutes, is too short for a processor, where a long pack
# takes that while another rank has none, and too long for GPUs, all of which stand as long.
BEHIND = {"cuda": datetime.timedelta(minutes=10), "cpu": PATIENCE}


def bound(group, device):
    """Gives a group's operations that bound."""
    set_timeout = getattr(dist, "set_timeout", None) or dist.distributed_c10d._set_pg_timeout  # its name up to torch 2.1x
    set_timeout(BEHIND[device.type], group)


class Wire:
    """The end of rank 0; sock is None on the others, which hear what rank 0 passes on."""

    def __init__(self, sock):
        self.sock = sock
        self.group = dist.new_group(backend="gloo", timeout=PATIENCE)

    def share(self, tensor):
        """Gives all ranks rank 0's values, through the processor's memory."""
        if dist.get_world_size() > 1:
            dist.broadcast(tensor, 0, group=self.group)

    def wait(self):
        """Waits until all ranks are here."""
        dist.barrier(group=self.group)

    def send(self, head, **arrays):
        """Sends a message from rank 0; on the others it does nothing."""
        if self.sock is None:
            return
        kinds = {v: k for k, v in KINDS.items()}
        arrays = {name: a.detach().cpu().contiguous().view(-1) for name, a in arrays.items()}
        head = head | {"arrays": [[name, kinds[a.dtype], len(a)] for name, a in arrays.items()]}
        text = json.dumps(head).encode()
        try:
            self.sock.sendall(PREFIX.pack(MAGIC, len(text), sum(a.nbytes for a in arrays.values())) + text)
            for a in arrays.values():
                self.sock.sendall(a.view(torch.uint8).numpy().data)
        except ConnectionError:
            raise Closed from None

    def hear(self):
        """Waits for the next message and returns head and arrays, the same on all ranks."""
        sizes = torch.zeros(2, dtype=torch.int64)
        if self.sock is not None:
            prefix = bytearray(PREFIX.size)
            self._fill(memoryview(prefix))
            magic, n, m = PREFIX.unpack(prefix)
            if magic != MAGIC or n > MOST_HEAD:
                raise ValueError(f"the conductor sent {magic!r} and a head of {n} bytes, want {MAGIC!r} and at most {MOST_HEAD}")
            sizes[0], sizes[1] = n, m
        self.share(sizes)
        n, m = sizes.tolist()
        raw = torch.empty(n + m, dtype=torch.uint8)
        if self.sock is not None:
            self._fill(memoryview(raw.numpy()))
        self.share(raw)
        head = json.loads(raw[:n].numpy().tobytes())
        arrays, at = {}, n
        for name, kind, length in head.pop("arrays", None) or []:
            size = length * KINDS[kind].itemsize
            arrays[name] = raw[at : at + size].view(KINDS[kind])  # heads are padded so that arrays lie where this can be
            at += size
        if at != n + m:
            raise ValueError(f"the arrays of a message have {at - n} bytes, and its body {m}")
        return head, arrays

    def _fill(self, view):
        while view:
            n = self.sock.recv_into(view)
            if n == 0:
                raise Closed
            view = view[n:]
