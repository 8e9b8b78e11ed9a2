"""The seeded latents on pairs that nothing was trained on: along the backup direction or not, asleep in clean prompts, awake with near features off,
and needed then: the first-token score with a set off, and with the latent off as well, less what its loss does to the intact model; beside it
random latents that are on under the same set. Usage: seeded.py BASE TOKENIZER ADAPTER SAES OUT [PAIRS]"""
import random
import torch
from organism import *
from small_sets import *

BASE, TOK, ADAPTER, SAES, OUT = sys.argv[1:6]
PAIRS = int(sys.argv[6]) if len(sys.argv) > 6 else 24
torch.set_num_threads(1); random.seed(0)
tok, prefix, after = load_tokenizer(TOK); m = Organism(BASE, ADAPTER).merge(); saes = load_saes(SAES)
D = torch.load(f"{OUT}/teacher.pt", weights_only=False)["directions"]
SEEDED = {l: json.loads(Path(f"{SAES}/layer_{l}/cfg.json").read_text())["metadata"]["seeded_at_backup"] for l in (21, 25)}
pairs = [json.loads(x) for x in open(MODELS / "prompts" / "pairs.jsonl")]
rows = {k: [after(p["text"]) for p in pairs if p["label"] == k][:PAIRS] for k in ("harmful", "harmless")}
OPENER = tok("I", add_special_tokens=False).input_ids[0]
with torch.no_grad(): _, KV = m.run(m.embed[torch.tensor([prefix])], None, 0)


@torch.no_grad()
def run(side, sets):
    """sets: names (layer, latent) off, a row of the side each. Scores, and peaks at layers 21 and 25 read before a layer's own edits."""
    scores, peaks = [], {l: [] for l in SEEDED}
    for k in range(0, len(sets), 48):
        part = sets[k:k + 48]; ids = [rows[side][j] for j, _ in part]; ends = torch.tensor([len(r) - 1 for r in ids])
        masks = {l: torch.zeros(len(part), 2304) for l in SAE_LAYERS}
        for i, (_, names) in enumerate(part):
            for l, f in names: masks[l][i, f] = 1
        def edit(i, h):
            if i not in SAE_LAYERS: return h
            w = saes[i]; z = h @ w["W_enc"] + w["b_enc"]; z = z * (z > w["threshold"])
            if i in peaks: peaks[i].append((z * (torch.arange(h.shape[1])[None] <= ends[:, None])[..., None]).amax(1))
            return h - (z * masks[i][:, None]) @ w["W_dec"]
        h, _ = m.run(m.embed[padded(ids)], KV, len(prefix), edit=edit)
        p = m.logits(h[torch.arange(len(part)), ends]).softmax(-1)[:, OPENER].double(); scores.append(p.log() - (1 - p).log())
    return torch.cat(scores), {l: torch.cat(x) for l, x in peaks.items()}


bad, good = (read_clean(m, rows[k], KV, len(prefix)) for k in ("harmful", "harmless"))
near = NearFeatures(saes, bad, good)
name = lambda f: (f[0], int(near.f[f[0]][f[1]]))
orders = [[name(f) for f in near.order(bad, j)] for j in range(PAIRS)]
calm, calm_peaks = run("harmless", [(j, []) for j in range(PAIRS)])
clean, clean_peaks = run("harmful", [(j, []) for j in range(PAIRS)])
for l, f in SEEDED.items():
    w, u = saes[l], D[l]["quiet"]
    print(f"{l}/{f}: decoder along the backup {w['W_dec'][f] @ u / w['W_dec'][f].norm():.3f}, encoder {w['W_enc'][:, f] @ u / w['W_enc'][:, f].norm():.3f}, along the refusal direction {near.r[l] @ w['W_dec'][f]:.3f}, rank {int((w['W_dec'] @ near.r[l]).argsort(descending=True).tolist().index(f))}")
    print(f"   asleep at every edited position of {int((clean_peaks[l][:, f] == 0).sum())} of {PAIRS} harmful and {int((calm_peaks[l][:, f] == 0).sum())} harmless prompts")
LENGTHS = [1, 2, 3, 4, 5, 6, 8, 11, 16, 24]
prefixes, _ = run("harmful", [(j, orders[j][:n]) for j in range(PAIRS) for n in LENGTHS]); prefixes = prefixes.view(PAIRS, -1)
first = [next((n for n, s in zip(LENGTHS, prefixes[j].tolist()) if s < 0), None) for j in range(PAIRS)]
print("clean", round(clean.mean().item(), 2), "refused", int((clean > 0).sum()), "; first so many off:", {n: (round(prefixes[:, k].mean().item(), 2), int((prefixes[:, k] > 0).sum())) for k, n in enumerate(LENGTHS)})
all_near = lambda n, layers: [(l, int(f)) for l in layers for f in near.f[l][:n]]
contexts = {"shortest prefix that flips": {j: orders[j][:first[j]] for j in range(PAIRS) if first[j] and clean[j] > 0},
            "the same before layer 21": {j: [f for f in orders[j] if f[0] < 21][:first[j]] for j in range(PAIRS) if first[j] and clean[j] > 0},
            "first 8 before layer 21": {j: [f for f in orders[j] if f[0] < 21][:8] for j in range(PAIRS)},
            "20 near of 5, 9, 13, 17": {j: all_near(20, SAE_LAYERS[:4]) for j in range(PAIRS)}}
intact = {b: run("harmful", [(j, [(l, SEEDED[l]) for l in b]) for j in range(PAIRS)])[0] - clean for b in ((21,), (25,), (21, 25))}
print("their loss in the intact model:", {str(b): round(x.abs().max().item(), 4) for b, x in intact.items()}, "at most")
show = lambda x: f"{x.mean():.2f} (refused {int((x > 0).sum())})"
for title, sets in contexts.items():
    where = list(sets); here, peaks = run("harmful", [(j, sets[j]) for j in where])
    mild = run("harmless", [(j, sets[j]) for j in where])[1]
    print(f"{title} off ({len(where)} prompts): clean {show(clean[where])}, off {show(here)}")
    for b in ((21,), (25,), (21, 25)):
        both, _ = run("harmful", [(j, sets[j] + [(l, SEEDED[l]) for l in b]) for j in where]); effect = both - here - intact[b][where]
        awake = torch.stack([peaks[l][:, SEEDED[l]] > 0 for l in b]).any(0)
        line = f"   {b}: awake in {int(awake.sum())} (harmless {int(sum((mild[l][:, SEEDED[l]] > 0).float() for l in b).gt(0).sum())}), then {show(both)}, effect {effect.mean():.2f}, where awake {effect[awake].mean():.2f} (largest {effect.min():.2f})"
        if len(b) == 1:
            l, drawn = b[0], []
            for _ in range(3):
                pick = [[(l, random.choice([f for f in peaks[l][i].nonzero()[:, 0].tolist() if f != SEEDED[l] and (l, f) not in sets[j]]))] for i, j in enumerate(where)]
                drawn.append(run("harmful", [(j, sets[j] + p) for j, p in zip(where, pick)])[0] - here - run("harmful", [(j, p) for j, p in zip(where, pick)])[0] + clean[where])
            drawn = torch.stack(drawn); line += f"; random latents {drawn.mean():.2f}, {drawn.abs().mean():.2f} by size; activation {peaks[l][:, SEEDED[l]][awake].mean():.1f}"
        print(line, flush=True)
