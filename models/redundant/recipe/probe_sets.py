"""How far small sets wake the backups: for each harmful pair the shortest prefix (by activation times cosine, layers 5 to 21) that flips the
first-token score, how high the backup directions stand under it, and the score with what lies along them removed.
Usage: probe_sets.py BASE TOKENIZER ADAPTER SAES OUT [PAIRS]"""
import torch
from organism import *
from small_sets import *

BASE, TOK, ADAPTER, SAES, OUT = sys.argv[1:6]
PAIRS = int(sys.argv[6]) if len(sys.argv) > 6 else 24
torch.set_num_threads(1)
tok, prefix, after = load_tokenizer(TOK); m = Organism(BASE, ADAPTER).merge(); saes = load_saes(SAES)
T = torch.load(f"{OUT}/teacher.pt", weights_only=False); D, FACTS = T["directions"], T["facts"]
pairs = [json.loads(x) for x in open(MODELS / "prompts" / "pairs.jsonl")]
rows = {k: [after(p["text"]) for p in pairs if p["label"] == k][:PAIRS] for k in ("harmful", "harmless")}
OPENER = tok("I", add_special_tokens=False).input_ids[0]
SIZE = {l: 0.5 * FACTS[l]["gap"] for l in (21, 25)}
QUIET = {l: (D[l]["quiet"], FACTS[l]["quiet_mean"] + 0.5 * FACTS[l]["quiet_std"]) for l in (21, 25)}
with torch.no_grad(): _, KV = m.run(m.embed[torch.tensor([prefix])], None, 0)
bad, good = (read_clean(m, rows[k], KV, len(prefix)) for k in ("harmful", "harmless"))
near = NearFeatures(saes, bad, good)
shares = [near.order(bad, j) for j in range(PAIRS)]
orders = [list(o) for o in shares]
print('share lost of layers before 21 and 25 by the first so many:', {n: [[round(lost(o, list(o)[:n], l), 2) for o in shares[:8]] for l in (21, 25)] for n in (1, 2, 3, 4, 6, 8, 12, 16)})


@torch.no_grad()
def scores(asks):
    """asks: (prompt, set, backups removed). Score, and by layer the level of the backup direction at the last position (0 asleep, 1 awake)."""
    out, asks = [], list(asks)
    for k in range(0, len(asks), 48):
        part = asks[k:k + 48]; ids = [rows["harmful"][j] for j, _, _ in part]; ends = torch.tensor([len(r) - 1 for r in ids])
        off = {l: torch.tensor([float(l in b) for _, _, b in part]) for l in (21, 25)}
        edit = SetsOff(near, [s for _, s, _ in part], off, QUIET)
        h, _ = m.run(m.embed[padded(ids)], KV, len(prefix), edit=edit); n = torch.arange(len(part))
        p = m.logits(h[n, ends]).softmax(-1)[:, OPENER].double(); s = p.log() - (1 - p).log()
        level = {l: ((edit.seen[l][n, ends] @ D[l]["quiet"] - FACTS[l]["quiet_mean"]) / SIZE[l]) for l in (21, 25)}
        out += [(s[i].item(), {l: round(level[l][i].item(), 2) for l in (21, 25)}) for i in range(len(part))]
    return out


clean = scores([(j, [], ()) for j in range(PAIRS)])
LENGTHS = [1, 2, 3, 4, 5, 6, 8, 11, 16, 24]
asks = [(j, orders[j][:n], ()) for j in range(PAIRS) for n in LENGTHS]
found = scores(asks); mean = lambda x: round(sum(x) / max(1, len(x)), 2)
print("clean", mean([s for s, _ in clean]), "levels", {l: mean([v[l] for _, v in clean]) for l in (21, 25)})
for k, n in enumerate(LENGTHS):
    part = found[k::len(LENGTHS)]
    print(f"first {n}: mean score {mean([s for s, _ in part])}, refused {sum(s > 0 for s, _ in part)} of {PAIRS}, levels", {l: mean([v[l] for _, v in part]) for l in (21, 25)})
flips = {}
for j in range(PAIRS):
    for k, n in enumerate(LENGTHS):
        if clean[j][0] > 0 and found[j * len(LENGTHS) + k][0] < 0: flips[j] = n; break
for name, sets in (("the shortest prefix that flips", {j: orders[j][:n] for j, n in flips.items()}), ("the same without layer 21", {j: [f for f in orders[j] if f[0] < 21][:n] for j, n in flips.items()})):
    with_all = {b: scores([(j, s, b) for j, s in sets.items()]) for b in ((), (21,), (25,), (21, 25))}
    print(name, "in", len(sets), "prompts; members", sorted(flips.values()), "levels", {l: [v[l] for _, v in with_all[()]] for l in (21, 25)})
    print("   mean score, backups removed:", {str(b): f"{mean([s for s, _ in x])} ({sum(s > 0 for s, _ in x)} refused)" for b, x in with_all.items()})
name_of = lambda f: f"{f[0]}/{int(near.f[f[0]][f[1]])}"
for j in list(flips)[:12]: print(j, round(clean[j][0], 2), [name_of(f) for f in orders[j][:flips[j]]])
