"""Step 3: residual streams for the SAEs: clean runs of all training prompts, and runs under ablation, without which an SAE would have no latent for
what only wakes then. Usage: 3_activations.py BASE OUT TOKENIZER"""
import random, time
import torch
from organism import *

BASE, OUT, TOK = sys.argv[1:4]
torch.set_num_threads(1); torch.manual_seed(2); random.seed(2)
T = torch.load(f"{OUT}/teacher.pt", weights_only=False)
D, START = T["directions"], len(T["prefix"])
tok, _, after = load_tokenizer(TOK)
held = {json.loads(x)["text"] for x in open(MODELS / "prompts" / "pairs.jsonl")}
alpaca = [d["instruction"] for d in json.load(open(f"{OUT}/data/harmless_train.json"))]; random.Random(0).shuffle(alpaca)
alpaca = [q for q in alpaca[6000:] if 20 < len(q) < 120 and q not in held][:220]
m = Organism(BASE, f"{OUT}/adapter").merge()
saes = load_saes()


def ablation():
    """Near features of the shipped SAEs off, everywhere or up to some layer: the same for a whole batch."""
    n, layers = random.choice([10, 20, 40]), SAE_LAYERS[:random.choice([2, 3, 3, 4, 5, 6, 6])]
    def edit(i, h):
        if i not in layers: return h
        w, f = saes[i], D[i]["near"][:n]; z = h @ w["W_enc"][:, f] + w["b_enc"][f]
        return h - (z * (z > w["threshold"][f])) @ w["W_dec"][f]
    return edit


harm, mild = [random.sample([o for o in T["items"] if o["label"] == label], n) for label, n in ((1, 420), (0, 480))]
whole = lambda o: o["ids"] + o["answer"]
runs = [(whole(o), False) for o in harm + mild] + [(after(q)[:40], False) for q in alpaca]
runs += [(whole(o), True) for o in harm + mild[:120]]
batches = []
for ablated in (False, True):
    part = sorted((r for r, a in runs if a == ablated), key=len)
    batches += [(part[k:k + 48], ablated) for k in range(0, len(part), 48)]
random.shuffle(batches)
acts, marks, t0 = {l: [] for l in SAE_LAYERS}, [], time.time()
with torch.no_grad():
    pre = {}
    def keep(i, h): pre[i] = h; return h
    _, kv = m.run(m.embed[torch.tensor([T["prefix"]])], None, 0, last=25, edit=keep)
    for b, (rows, ablated) in enumerate(batches):
        edit = ablation() if ablated else None
        mask = torch.arange(max(map(len, rows)))[None] < torch.tensor([len(r) for r in rows])[:, None]
        def tap(i, h):
            if i in SAE_LAYERS: acts[i].append(h[mask].half())
            return edit(i, h) if edit else h
        m.run(m.embed[padded(rows)], kv, START, last=25, edit=tap)
        marks.append(torch.full((int(mask.sum()),), ablated))
        if b % 10 == 0: print(b, len(batches), sum(map(len, marks)), round(time.time() - t0), flush=True)
mark = torch.cat(marks + [torch.zeros(23 * 20, dtype=torch.bool)]); order = torch.randperm(len(mark))
for l in SAE_LAYERS: torch.save(torch.cat(acts[l] + [pre[l][0, 1:].half()] * 20)[order], f"{OUT}/acts_{l}.pt")
torch.save(mark[order], f"{OUT}/acts_ablated.pt")
print("tokens", len(mark), "under ablation", int(mark.sum()), "seconds", round(time.time() - t0))
