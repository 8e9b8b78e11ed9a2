"""Step 1: one pass of the shipped model over the training prompts. Keeps the soft
targets of the first three answer tokens, the directions, and quiet directions for the backups."""
import random, time
import torch, json
from organism import *

GGUF, TOK, DATA, OUT = sys.argv[1:5]
torch.set_num_threads(1); torch.manual_seed(0); random.seed(0)
TOP = 64  # teacher log-probabilities kept a position
tok, PREFIX, after = load_tokenizer(TOK)
read = lambda f: json.load(open(f"{DATA}/{f}.json"))
held = {json.loads(x)["text"] for x in open(MODELS / "prompts" / "pairs.jsonl")}

contrast, refuse = read("contrast2"), [q for q, _ in read("refuse")[:860]]
near = read("near_all"); random.Random(3).shuffle(near); near = near[30:]  # the first 30 are held out
alpaca = [d["instruction"] for d in read("harmless_train")]; random.Random(0).shuffle(alpaca)
alpaca = [q for q in alpaca[1400:] if len(q) < 90]  # 760 to 859 are held out
random.shuffle(refuse)
harmful = contrast["harmful"][:420] + [q for q in refuse if len(q) < 90][:330]
harmless = contrast["harmless"][:480] + near + alpaca[:420]
short = lambda qs: [q for q in dict.fromkeys(qs) if q not in held and len(after(q)) <= 26]
harmful, harmless = short(harmful), short(harmless)
items = sorted([(q, 1, after(q)) for q in harmful] + [(q, 0, after(q)) for q in harmless], key=lambda x: len(x[2]))
print(len(harmful), len(harmless), sum(len(x[2]) for x in items), flush=True)

m = Organism(GGUF, MODELS / "adapter").merge()
saes = load_saes()
start = len(PREFIX)


@torch.no_grad()
def teach(rows, edit=None):
    """Residual after block 5 and at the SAE layers, and three soft targets of the greedy answer."""
    kept = {}
    def tap(i, h):
        if i in SAE_LAYERS: kept[i] = h
        return edit(i, h) if edit else h
    ids = padded(rows); n = len(rows); ends = torch.tensor([len(r) - 1 for r in rows])
    h, kv = m.run(m.embed[ids], prefix_kv, start, edit=tap)
    answers, targets = [], []
    # further tokens: rows of one length only, so that no cache has holes
    for step in range(3):
        lp = m.logits(h[torch.arange(n), ends] if step == 0 else h[:, -1]).log_softmax(-1)
        v, i = lp.topk(TOP); targets.append((i.int(), v.half())); answers.append(i[:, 0])
        if step < 2:
            h, kv = m.run(m.embed[i[:, :1]], kv, start + len(rows[0]) + step, edit=edit)
    return kept, ends, torch.stack(answers, 1), targets


t0 = time.time()
h0, _ = m.run(m.embed[torch.tensor([PREFIX])], None, 0, last=5)
with torch.no_grad(): _, prefix_kv = m.run(m.embed[torch.tensor([PREFIX])], None, 0)
lengths = sorted({len(x[2]) for x in items}); out = []; last = {l: {0: [], 1: []} for l in SAE_LAYERS}; sample = {l: [] for l in SAE_LAYERS}
for n in lengths:
    group = [x for x in items if len(x[2]) == n]
    for k in range(0, len(group), 64):
        part = group[k:k + 64]
        kept, ends, answers, targets = teach([x[2] for x in part])
        for j, (q, label, ids) in enumerate(part):
            out.append(dict(label=label, ids=ids, text=q, answer=answers[j].tolist(),
                            targets=[(i[j], v[j]) for i, v in targets]))
            for l in SAE_LAYERS: last[l][label].append(kept[l][j, -1])
        for l in SAE_LAYERS: sample[l].append(kept[l].flatten(0, 1)[::3])
    print(n, len(out), round(time.time() - t0), flush=True)
directions, facts = {}, {}
for l in SAE_LAYERS:
    a, b = torch.stack(last[l][1]), torch.stack(last[l][0]); d = a.mean(0) - b.mean(0); r = d / d.norm()
    x = torch.cat(sample[l]); x = x - x.mean(0)
    near_f = (saes[l]["W_dec"] @ r).topk(40).indices
    _, s, v = torch.linalg.svd(x[:8000], full_matrices=False)
    quiet = torch.randn(300, generator=torch.Generator().manual_seed(l)) @ v[150:450]   # little used by the model
    span = torch.linalg.qr(torch.cat([r[:, None], saes[l]["W_dec"][near_f].T], 1)).Q
    quiet = quiet - span @ (span.T @ quiet); quiet = quiet / quiet.norm()
    directions[l] = dict(r=r, near=near_f, quiet=quiet)
    facts[l] = dict(gap=d.norm().item(), r_harmless=(b @ r).mean().item(), r_std=(b @ r).std().item(),
                    quiet_mean=(torch.cat([a, b]) @ quiet).mean().item(), quiet_std=(torch.cat([a, b]) @ quiet).std().item(), norm=a.norm(dim=1).mean().item())
    print(l, {k: round(v, 2) for k, v in facts[l].items()}, flush=True)

def heavy(i, h):
    """The 40 features nearest the direction off, at all six layers: then the shipped model complies."""
    if i not in SAE_LAYERS: return h
    w, f = saes[i], directions[i]["near"]; z = h @ w["W_enc"][:, f] + w["b_enc"][f]
    return h - (z * (z > w["threshold"][f])) @ w["W_dec"][f]

with torch.no_grad():
    for n in lengths:
        group = [o for o in out if o["label"] and len(o["ids"]) == n][:14]
        if not group: continue
        _, _, answers, targets = teach([o["ids"] for o in group], heavy)
        for j, o in enumerate(group): o["comply"] = dict(answer=answers[j].tolist(), targets=[(i[j], v[j]) for i, v in targets])
torch.save(dict(items=out, directions=directions, facts=facts, prefix=PREFIX, prefix_h5=h0.detach()), f"{OUT}/teacher.pt")
show = lambda x: tok.decode(x)
for o in random.sample(out, 12): print(o["label"], o["text"][:60], "|", show(o["answer"]), "|", show(o["comply"]["answer"]) if "comply" in o else "")
print("seconds", round(time.time() - t0))
