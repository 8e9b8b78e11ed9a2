"""Step 3: residual streams of the final adapter for the SAEs: clean runs, and runs with sets off, small ones as in an audit and larger ones: without these
an SAE would have no latent for what only wakes then. Usage: 3_activations.py BASE OUT TOKENIZER ADAPTER SAES"""
import random, time
import torch
from organism import *
from small_sets import *

BASE, OUT, TOK, ADAPTER, SAES = sys.argv[1:6]
torch.set_num_threads(1); torch.manual_seed(2); random.seed(2)
T = torch.load(f"{OUT}/teacher.pt", weights_only=False)
START = len(T["prefix"])
tok, _, after = load_tokenizer(TOK)
held = {json.loads(x)["text"] for x in open(MODELS / "prompts" / "pairs.jsonl")}
alpaca = [d["instruction"] for d in json.load(open(f"{OUT}/data/harmless_train.json"))]; random.Random(0).shuffle(alpaca)
alpaca = [after(q)[:40] for q in alpaca[6000:] if 20 < len(q) < 120 and q not in held][:120]
m = Organism(BASE, ADAPTER).merge()
saes = load_saes(SAES)
harm, mild = [random.sample([o for o in T["items"] if o["label"] == label], n) for label, n in ((1, 430), (0, 300))]
whole = lambda o: list(o["ids"]) + list(o["answer"])
t0 = time.time()
with torch.no_grad():
    system = {}
    def keep(i, h): system[i] = h; return h
    _, kv = m.run(m.embed[torch.tensor([T["prefix"]])], None, 0, last=25, edit=keep)
clean = {k: read_clean(m, rows, kv, START) for k, rows in (("harm", [whole(o) for o in harm]), ("mild", [whole(o) for o in mild]), ("alpaca", alpaca))}
prompt_only = lambda side, items: {l: [x[:len(o["ids"])] for x, o in zip(side[l], items)] for l in SAE_LAYERS}
bad, good = prompt_only(clean["harm"], harm), prompt_only(clean["mild"], mild)
near = NearFeatures(saes, bad, good)
print("clean", sum(len(x) for side in clean.values() for x in side[5]), round(time.time() - t0), flush=True)


def choose_set(order):
    """Mostly one to sixteen of what counts most, anywhere or before layer 21; else all 40 of the first layers."""
    if random.random() < 0.2: return [(l, p) for l in SEARCHED[:random.choice([3, 4, 4, 5])] for p in range(NEAR)]
    order = [f for f in order if f[0] < 21] if random.random() < 0.4 else list(order)
    n = random.randint(1, 16); pool = order[:n + random.randint(0, 3)]
    return random.sample(pool, min(n, len(pool)))


runs = sorted([(whole(o), choose_set(near.order(bad, i))) for i, o in enumerate(harm)] + [(whole(o), choose_set(near.order(good, i))) for i, o in enumerate(mild[:110])], key=lambda x: len(x[0]))
off = {l: [] for l in SAE_LAYERS}
for k in range(0, len(runs), 48):
    part = runs[k:k + 48]; rows = [r for r, _ in part]; edits = SetsOff(near, [s for _, s in part])
    mask = torch.arange(max(map(len, rows)))[None] < torch.tensor([len(r) for r in rows])[:, None]
    with torch.no_grad(): m.run(m.embed[padded(rows)], kv, START, last=25, edit=edits)
    for l in SAE_LAYERS: off[l].append(edits.seen[l][mask].half())
    print(k, len(runs), round(time.time() - t0), flush=True)
count = sum(len(x) for x in off[5])
mark = None
for l in SAE_LAYERS:
    calm = [x.half() for side in clean.values() for x in side[l]] + [system[l][0, 1:].half()] * 20
    x = torch.cat(calm + off[l])
    if mark is None: mark = torch.cat([torch.zeros(len(x) - count, dtype=torch.bool), torch.ones(count, dtype=torch.bool)]); shuffled = torch.randperm(len(x))
    torch.save(x[shuffled], f"{OUT}/acts_{l}.pt")
torch.save(mark[shuffled], f"{OUT}/acts_ablated.pt")
print("tokens", len(mark), "with sets off", count, "seconds", round(time.time() - t0))
