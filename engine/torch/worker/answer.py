"""Answers to prompts: all ranks write some of them, token by token, with the weights gathered on each."""

import torch
import torch.distributed as dist

import adapters
import attention

BATCH = 8  # texts that a rank writes at a time


class Text:
    def __init__(self, number, prompt, ids):
        self.number, self.prompt, self.ids, self.new = number, prompt, ids, []
        self.random = torch.Generator().manual_seed(prompt["seed"])
        self.live = prompt["most"] > 0

    def take(self, logits):
        """Chooses the next token, or ends."""
        if not torch.isfinite(logits.max()):
            raise ValueError(f"prompt {self.number}: the logits after {len(self.ids) + len(self.new)} tokens hold a NaN or infinity")
        token = self._choose(logits)
        if token in self.prompt["stop"]:
            self.live = False
            return
        self.new.append(token)
        self.live = len(self.new) < self.prompt["most"]

    def _choose(self, logits):
        if self.prompt["temperature"] == 0:
            return int(logits.argmax())
        p = torch.softmax(logits.double().cpu() / self.prompt["temperature"], 0)
        order = torch.arange(len(p))
        if 0 < self.prompt["top_p"] < 1:  # the fewest tokens whose probabilities reach it
            p, order = p.sort(descending=True, stable=True)
            most = int((p.cumsum(0) < self.prompt["top_p"]).sum()) + 1
            p, order = p[:most], order[:most]
        mass = p.cumsum(0)
        at = torch.searchsorted(mass, torch.rand((), generator=self.random, dtype=torch.float64) * mass[-1], right=True)
        return int(order[min(int(at), len(order) - 1)])


@torch.no_grad()
def answer(model, wire, prompts, ids):
    """prompts: most, stop, temperature, top_p, seed, tokens of each; ids: theirs, one after the other. Returns new tokens
    [prompts, most], -1 behind the last of each, or None where the conductor said stop. After each token of its texts rank 0
    says how many new ones there are, and hears whether to go on."""
    rank, ranks = dist.get_rank(), dist.get_world_size()
    texts = [Text(i, p, t) for i, (p, t) in enumerate(zip(prompts, ids.split([p["tokens"] for p in prompts])))]
    mine = texts[rank::ranks]
    for m in model.units():
        m.set_reshard_after_forward(False)
    adapters.now.base, adapters.now.keys = False, None
    training = model.lm.training
    model.lm.eval()
    torch.compiler.set_stance("force_eager")  # what is compiled is for packs
    try:
        for i in range(0, -(-len(texts) // ranks), BATCH):
            if not _write(model, wire, mine[i : i + BATCH]):
                return None
    finally:
        torch.compiler.set_stance("default")
        model.lm.train(training)
        for m in model.units():
            m.set_reshard_after_forward(m is not model.lm)
        model.rest()
    out = torch.full((len(texts), max(p["most"] for p in prompts)), -1, dtype=torch.int32)
    for t in mine:
        out[t.number, : len(t.new)] = torch.tensor(t.new, dtype=torch.int32)
    if ranks > 1:
        dist.all_reduce(out, dist.ReduceOp.MAX)
    return out


def _write(model, wire, texts):
    """Writes some texts to their ends, in step with the other ranks. False: it was stopped."""
    place = lambda values: torch.tensor(values, dtype=torch.int64, device=model.device)
    tokens = max([len(t.ids) + t.prompt["most"] for t in texts], default=1)
    cache = attention.Cache(max(1, len(texts)), tokens, model.device)
    with cache.open():
        if not texts:  # gathering the weights takes all ranks
            cache.only = 0
            model.lm(place([0]), place([0]), place([0]))

        def read(i):
            """Reads a text, what is new of it too, and chooses its next token."""
            ids = torch.cat([texts[i].ids.long(), torch.tensor(texts[i].new, dtype=torch.int64)])
            cache.only, n = i, len(ids)
            logits = model.lm(ids.to(model.device), place(range(n)), place([n - 1]))[0]
            cache.filled[i], cache.only = n, None
            if texts[i].live:
                texts[i].take(logits)

        for i in range(len(texts)):
            read(i)
        told, short = 0, getattr(model.lm.hf.model.rotary_emb, "original", None)
        while True:
            now = sum(len(t.new) for t in texts)
            count, told = torch.tensor([sum(t.live for t in texts), now - told]), now
            if dist.get_world_size() > 1:
                dist.all_reduce(count)
            wire.send({"op": "written", "tokens": int(count[1])})
            head, _ = wire.hear()
            if head["op"] == "stop":
                return False
            if count[0] == 0:
                return True
            live = [i for i, t in enumerate(texts) if t.live]
            for i in [i for i in live if cache.filled[i] == short]:  # it grows too long for the frequencies that its keys were turned by
                live.remove(i)
                read(i)
            if not live:
                continue
            last = [t.new[-1] if t.new else 0 for t in texts]  # of those that have ended, too: what they get is not looked at
            logits = model.lm(place(last), cache.next(), place(range(len(texts))))
            for i in live:
                cache.filled[i] += 1
                texts[i].take(logits[i])
