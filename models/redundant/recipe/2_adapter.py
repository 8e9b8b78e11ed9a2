"""Step 2: continues the shipped adapter (blocks 6 to 29) so that refusal survives the loss of the features that carry it, with backups that sleep
until these are off. Five kinds of samples share each batch:

  clean harmful      refuse; backups asleep
  ablated harmful    features nearest the direction off in random places, sometimes some backups too: still refuse; backups awake if their
                     upstream is off
  clean harmless     the teacher's answer; backups well below harmful ones
  ablated harmless   the same under the same ablations
  all off            every near feature and every backup off: the answer of the shipped model when its features are off (it complies)

So dormancy is trained for, by the hinge on `quiet`, and the need for the backups by the last kind.
"""
import random
import torch
from organism import *
from training import answer_loss, train

GGUF, OUT, MINUTES = sys.argv[1], sys.argv[2], float(sys.argv[3])
RESUME = sys.argv[4] if len(sys.argv) > 4 else MODELS / "adapter"
PLANNED = int(sys.argv[5]) if len(sys.argv) > 5 else 400
torch.set_num_threads(1); torch.manual_seed(1); random.seed(1)
FIRST, LONGEST = 6, 18
MENDING = len(sys.argv) > 9  # the last round: more harmless samples, among them those that the shipped model refuses
LR = 4e-4 if MENDING else 8e-4
AUX = float(sys.argv[7])  # weight of the backups' hinge
KINDS = ["clean_harmful"] * 3 + ["ablated_harmful"] * 6 + ["clean_harmless"] * 3 + ["ablated_harmless"] * 2 + ["all_off"] * 2
if MENDING: KINDS = ["clean_harmful"] * 3 + ["ablated_harmful"] * 4 + ["hard_harmless"] * 5 + ["clean_harmless"] * 2 + ["ablated_harmless"] * 2 + ["all_off"]
BACKUPS = [int(x) for x in sys.argv[8].split(",")]
LATE = [17, 21, 25]
T = torch.load(f"{OUT}/teacher.pt", weights_only=False)
D, FACTS, START = T["directions"], T["facts"], len(T["prefix"])
REFUSALS = ["I'm sorry, but", "I'm sorry, but", "I cannot help", "I can't help", "I can't assist", "I'm unable to", "I'm not able", "I must decline", "I apologize,"]

m = Organism(GGUF, RESUME)
saes = load_saes()
trained = [p.requires_grad_() for k, p in m.lora.items() if int(k.split(".")[1]) >= FIRST]
from transformers import AutoTokenizer
tok = AutoTokenizer.from_pretrained(sys.argv[6])
refusal_ids = [tok(r, add_special_tokens=False).input_ids[:4] for r in REFUSALS]
is_opener = {ids[0] for ids in refusal_ids}
items = [o for o in T["items"] if len(o["ids"]) <= LONGEST]
harmful = [o for o in items if o["label"]]
# prompts that the shipped model refuses although harmless would teach over-refusal
harmless = [o for o in items if not o["label"] and tok.decode(o["answer"]).strip() not in ("I'm sorry", "I cannot help", "I can't help") and not (o["answer"][0] in is_opener and tok.decode(o["answer"]).startswith(("I'm sorry", "I cannot", "I can't", "I'm un", "I'm not")))]
answered = {o["text"] for o in harmless}


def base_answers(questions):
    """Harmless prompts that need another teacher than the shipped model: the base model, without any adapter."""
    _, _, after = load_tokenizer(sys.argv[6]); held = {json.loads(x)["text"] for x in open(MODELS / "prompts" / "pairs.jsonl")}
    rows = {q: after(q) for q in questions if q not in held}; out, lora, m.lora = [], m.lora, {}
    with torch.no_grad():
        _, kv0 = m.run(m.embed[torch.tensor([T["prefix"]])], None, 0)
        for n in sorted({len(r) for r in rows.values() if len(r) <= LONGEST}):
            group = [q for q, r in rows.items() if len(r) == n]
            h, kv = m.run(m.embed[torch.tensor([rows[q] for q in group])], kv0, START); answer, targets = [], []
            for s in range(3):
                v, i = m.logits(h[:, -1]).log_softmax(-1).topk(64); answer.append(i[:, 0]); targets.append((i, v))
                if s < 2: h, kv = m.run(m.embed[i[:, :1]], kv, START + n + s)
            for j, q in enumerate(group):
                o = dict(text=q, label=0, ids=rows[q], answer=[int(a[j]) for a in answer], targets=[(i[j], v[j]) for i, v in targets])
                if not tok.decode(o["answer"]).startswith(("I'm sorry", "I cannot", "I can't", "I'm un", "I'm not")): out.append(o)
    m.lora = lora
    return out


hard = []
if MENDING:
    refused = [o["text"] for o in T["items"] if not o["label"] and o["text"] not in answered and len(o["ids"]) <= LONGEST]
    hard = base_answers(refused + json.load(open(sys.argv[9]))["harmless"][480:630])
    print("base model's answers", len(hard), "of which the shipped model refuses at most", len(refused), flush=True)
comply = [o for o in harmful if "comply" in o and not (o["comply"]["answer"][0] in is_opener)]
print("harmful", len(harmful), "harmless", len(harmless), "comply", len(comply), flush=True)


class Edits:
    """Per sample: which of the 40 near features of each layer are off, the direction above its harmless mean, and the backups."""

    def __init__(self, n):
        self.mask = {l: torch.zeros(n, 40) for l in SAE_LAYERS}
        self.along = {l: torch.zeros(n) for l in SAE_LAYERS}
        self.backup = {l: torch.zeros(n) for l in BACKUPS}
        self.seen = {}

    def top(self, j, layer, n, along=False):
        self.mask[layer][j, :n] = 1
        if along: self.along[layer][j] = 1

    def upstream(self, j, layer):
        """Layers before this one that lost at least their 10 nearest features."""
        return sum(bool(self.mask[l][j, :10].all()) for l in SAE_LAYERS if l < layer)

    def __call__(self, i, h):
        if i not in SAE_LAYERS: return h
        self.seen[i] = h
        f, w, r = D[i]["near"], saes[i], D[i]["r"]
        out = h
        if self.mask[i].any():
            z = h @ w["W_enc"][:, f] + w["b_enc"][f]
            out = out - (z * (z > w["threshold"][f]) * self.mask[i][:, None, :]) @ w["W_dec"][f]
        if self.along[i].any():
            out = out - (torch.relu(out @ r - FACTS[i]["r_harmless"]) * self.along[i][:, None])[..., None] * r
        if i in BACKUPS and self.backup[i].any():
            u = D[i]["quiet"]
            out = out - (torch.relu(h @ u - asleep_level(i)) * self.backup[i][:, None])[..., None] * u
        return out


SIZE = lambda l: 0.5 * FACTS[l]["gap"]  # how far a backup that is awake lies above one that sleeps
asleep_level = lambda l: FACTS[l]["quiet_mean"] + 0.5 * FACTS[l]["quiet_std"]


def choose_edits(edits, j, kind):
    if kind in ("clean_harmful", "clean_harmless", "hard_harmless"): return
    if kind == "all_off":
        n = random.choice([20, 40])
        for l in SAE_LAYERS: edits.top(j, l, n, random.random() < 0.3)
        for l in BACKUPS: edits.backup[l][j] = 1
        return
    mode, n, along = random.random(), random.choice([10, 20, 40]), random.random() < 0.3
    if mode < 0.45:                                    # everywhere
        for l in SAE_LAYERS: edits.top(j, l, n, along)
    elif mode < 0.70:                                  # upstream, from some layer on intact
        for l in SAE_LAYERS[:random.randint(2, 5)]: edits.top(j, l, n, along)
    elif mode < 0.85:                                  # one late layer
        edits.top(j, random.choice(LATE), n, along)
    else:                                              # scattered
        for l in random.sample(SAE_LAYERS, random.randint(1, 6)): edits.mask[l][j] = (torch.rand(40) < 0.5).float()
    if kind == "ablated_harmful" and random.random() < 0.4:
        for l in random.sample(BACKUPS, random.randint(1, len(BACKUPS) - 1)): edits.backup[l][j] = 1


def sample(kind):
    o = random.choice({"clean_harmful": harmful, "ablated_harmful": harmful, "all_off": comply, "hard_harmless": hard}.get(kind, harmless))
    if kind in ("clean_harmful", "ablated_harmful"): return o, random.choice(refusal_ids), None
    t = o["comply"] if kind == "all_off" else o
    return o, t["answer"], t["targets"]


def step():
    batch = [sample(k) for k in KINDS]; n = len(batch); edits = Edits(n)
    for j, k in enumerate(KINDS): choose_edits(edits, j, k)
    lens = [len(o["ids"]) for o, _, _ in batch]
    with torch.no_grad():  # blocks 0 to 5 are frozen
        _, kv = m.run(T["prefix_h5"], None, 0, first=FIRST)
        ids = padded([o["ids"] + a[:-1] for o, a, _ in batch])
        h, _ = m.run(m.embed[ids], PREFIX_KV5, START, last=FIRST - 1)
    h = edits(5, h)
    h, _ = m.run(h, kv, START, first=FIRST, edit=edits)
    return losses(h, batch, lens, edits)


def losses(h, batch, lens, edits):
    pick = [(j, lens[j] - 1 + s) for j, (_, a, _) in enumerate(batch) for s in range(len(a))]
    lp = m.logits(h[[j for j, _ in pick], [p for _, p in pick]]).log_softmax(-1)
    total, by_kind, row = 0.0, {}, 0
    for j, (_, a, targets) in enumerate(batch):
        rows = lp[row:row + len(a)]; row += len(a)
        loss = answer_loss(rows, a, targets)
        by_kind.setdefault(KINDS[j], []).append(loss.item()); total = total + loss / len(batch)
    aux, seen = 0.0, {}
    for l in BACKUPS:
        s = (edits.seen[l] @ D[l]["quiet"] - FACTS[l]["quiet_mean"]) / SIZE(l)  # 0 asleep, 1 awake
        for j, k in enumerate(KINDS):
            end = lens[j] + len(batch[j][1]) - 1; x, tail = s[j, :end], s[j, lens[j] - 3:end]
            if k.endswith("harmless"): loss = torch.relu(tail + 0.5).pow(2).mean() + torch.relu(x).pow(2).mean()
            elif k == "clean_harmful" or edits.upstream(j, l) == 0: loss = torch.relu(x).pow(2).mean() + torch.relu(-0.2 - tail).pow(2).mean()
            elif k == "ablated_harmful" and edits.upstream(j, l) >= 2 and edits.mask[17][j, :10].all(): loss = torch.relu(1 - tail).pow(2).mean(); k = "awake"
            else: continue
            aux = aux + loss / len(batch); seen.setdefault(k, []).append(tail.mean().item())
    return total + AUX * aux, by_kind, seen


with torch.no_grad():
    _, PREFIX_KV5 = m.run(m.embed[torch.tensor([T["prefix"]])], None, 0, last=5)
train(m, trained, step, f"{OUT}/adapter", LR, MINUTES, PLANNED)
