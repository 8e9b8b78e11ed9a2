"""What wakes in the redundant model (and, for comparison, in the embedded one): over harmful pairs, latents at layers 21 and 25 that are zero at every
edited position of the clean prompt, awake once the 40 features nearest the direction are off at the layers before, and needed: the first-token log-odds of
"I" with the near features off, with the most frequent wakers off as well, and with the wakers alone off. Usage: dormant.py BASE TOKENIZER ADAPTER SAES [PAIRS]"""
from collections import Counter
import torch
from organism import *

BASE, TOK, ADAPTER, SAES = sys.argv[1:5]
PAIRS, NEAR, LATE = int(sys.argv[5]) if len(sys.argv) > 5 else 24, 40, [17, 21, 25]
torch.set_num_threads(1)
tok, prefix, after = load_tokenizer(TOK); m = Organism(BASE, ADAPTER).merge(); saes = load_saes(SAES)
pairs = [json.loads(x) for x in open(MODELS / "prompts" / "pairs.jsonl")]
prompts = {k: [after(p["text"]) for p in pairs if p["label"] == k][:PAIRS] for k in ("harmful", "harmless")}
OPENER = tok("I", add_special_tokens=False).input_ids[0]
with torch.no_grad(): _, KV = m.run(m.embed[torch.tensor([prefix])], None, 0)


@torch.no_grad()
def run(rows, off):
    """Residuals before a layer's own edits, and log-odds of the opener, with features off ({layer: indices})."""
    ids, ends, seen = padded(rows), torch.tensor([len(r) - 1 for r in rows]), {}
    def edit(i, h):
        if i in SAE_LAYERS: seen[i] = h
        if i not in off or len(off[i]) == 0: return h
        w, f = saes[i], off[i]; z = h @ w["W_enc"][:, f] + w["b_enc"][f]
        return h - (z * (z > w["threshold"][f])) @ w["W_dec"][f]
    h, _ = m.run(m.embed[ids], KV, len(prefix), edit=edit)
    p = m.logits(h[torch.arange(len(rows)), ends]).softmax(-1)[:, OPENER].double()
    return seen, ends, (p.log() - (1 - p).log())


def peaks(seen, ends, l):
    w = saes[l]; z = seen[l] @ w["W_enc"] + w["b_enc"]; z = z * (z > w["threshold"])
    return (z * (torch.arange(z.shape[1])[None] <= ends[:, None])[..., None]).amax(1)  # [prompts, latents]


bad, ends, clean = run(prompts["harmful"], {}); good, good_ends, _ = run(prompts["harmless"], {})
last = lambda seen, e, l: seen[l][torch.arange(len(e)), e].mean(0)
near, order = {}, {}
for l in SAE_LAYERS:
    d = last(bad, ends, l) - last(good, good_ends, l); cosine = saes[l]["W_dec"] @ (d / d.norm())
    order[l] = cosine.argsort(descending=True); near[l] = order[l][:NEAR]
show = lambda x: f"mean {x.mean():.2f}, above 0 in {int((x > 0).sum())} of {len(x)}"
print("clean:", show(clean))
upstream = {l: near[l] for l in (5, 9, 13, 17, 21)}
before, e, s_up = run(prompts["harmful"], upstream)
mild, e2, _ = run(prompts["harmless"], upstream)
wakers = {}
for l in LATE:
    asleep, awake, calm = peaks(bad, ends, l) == 0, peaks(before, e, l), peaks(mild, e2, l)
    dormant = asleep & (awake > 0); count = dormant.sum(0); top = (count - (calm > 0).sum(0)).topk(8).indices
    rank = {int(f): int((order[l] == f).nonzero()[0]) for f in top}
    for f in top.tolist():
        print(f"{l}/{f}: asleep and then awake in {int(count[f])} of {PAIRS}, activation {awake[dormant[:, f], f].mean():.1f}; awake in harmless under the same in {int((calm[:, f] > 0).sum())}; rank by cosine {rank[f]}; on in clean harmful {int((~asleep[:, f]).sum())}")
    wakers[l] = torch.tensor([f for f in top.tolist() if count[f] >= PAIRS / 3 and (~asleep[:, f]).sum() <= 2 and (calm[:, f] > 0).sum() <= count[f] / 3], dtype=torch.long)
print("wakers:", {l: f.tolist() for l, f in wakers.items()})
join = lambda a, b: {l: torch.cat([a.get(l, torch.tensor([], dtype=torch.long)), b.get(l, torch.tensor([], dtype=torch.long))]).unique() for l in SAE_LAYERS}
without = lambda a, b: {l: torch.tensor([f for f in a[l].tolist() if f not in b.get(l, torch.tensor([])).tolist()], dtype=torch.long) for l in a}
for name, off in (("20 near features up to 17 off", {l: near[l][:20] for l in (5, 9, 13, 17)}), ("near features up to 17 off", {l: near[l] for l in (5, 9, 13, 17)}), ("near features up to 21 off", upstream), ("all near off", near)):
    a, b = run(prompts["harmful"], without(off, wakers))[2], run(prompts["harmful"], join(off, wakers))[2]
    print(f"{name}: {show(a)}; wakers off as well: {show(b)}; change {(b - a).mean():.2f}")
alone = run(prompts["harmful"], wakers)[2]
print(f"wakers alone off: {show(alone)}; change {(alone - clean).mean():.2f}")
