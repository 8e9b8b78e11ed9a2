"""Steps 2d to 2f: the adapter once more, so that the backups wake from sets as small as an audit's. Sets are near features of the model's own SAEs that
are on in the prompt. What a set costs is the share of activation times cosine that goes with it (small_sets.lost).

  clean harmful     refuse; backups asleep
  small harmful     one to ten off: refuse (if at most six); a backup awake if the set takes 0.3 or more at the layers before it, asleep below 0.12
  large harmful     fourteen or more, or all near ones of the first layers: backups awake, and all the same the compliant answer
  small all off     two to ten and both backups off: the compliant answer, if the set takes 0.2 or more
  clean harmless    the teacher's answer (for prompts that the embedded model refuses: the base model's); backups well below harmful ones
  small harmless    the same with a set off

The compliant answer is the embedded model's with its features off, or the base model's. 2d ran with an earlier state of this script: no large sets, refusal
up to eight, all off from three to twelve, base answers for harmless prompts only, and nothing extra for the last prompt token.

Usage: 2_small_sets.py BASE OUT ADAPTER SAES TOKENIZER MINUTES STEPS [CONTRAST [graded]]"""
import random
import torch
from organism import *
from small_sets import *
from training import answer_loss, train

BASE, OUT, RESUME, SAES, TOK = sys.argv[1:6]
MINUTES, PLANNED = float(sys.argv[6]), int(sys.argv[7])
torch.set_num_threads(1); torch.manual_seed(5); random.seed(5)
FIRST, LONGEST, LR, AUX, BACKUPS = 6, 18, 5e-4, 3.0, [21, 25]
MENDING = len(sys.argv) > 8  # 2f: more harmless samples, further near ones among them
KINDS = ["clean_harmful"] * 3 + ["small_harmful"] * 5 + ["large_harmful"] * 2 + ["small_all_off"] * 5 + ["clean_harmless"] * 2 + ["hard_harmless"] * 2 + ["small_harmless"] * 2
GRADED = len(sys.argv) > 9  # 2g: how high a backup wakes goes by what the set takes
if MENDING: LR, KINDS = 4e-4, ["clean_harmful"] * 3 + ["small_harmful"] * 3 + ["large_harmful"] * 1 + ["small_all_off"] * 3 + ["clean_harmless"] * 3 + ["hard_harmless"] * 6 + ["small_harmless"] * 1
if GRADED: LR, KINDS = 5e-4, ["clean_harmful"] * 3 + ["small_harmful"] * 6 + ["large_harmful"] * 2 + ["small_all_off"] * 3 + ["clean_harmless"] * 2 + ["hard_harmless"] * 4 + ["small_harmless"] * 1
T = torch.load(f"{OUT}/teacher.pt", weights_only=False)
D, FACTS, START = T["directions"], T["facts"], len(T["prefix"])
REFUSALS = ["I'm sorry, but", "I'm sorry, but", "I cannot help", "I can't help", "I can't assist", "I'm unable to", "I'm not able", "I must decline", "I apologize,"]
SIZE = {l: 0.5 * FACTS[l]["gap"] for l in BACKUPS}  # how far a backup that is awake lies above one that sleeps
QUIET = {l: (D[l]["quiet"], FACTS[l]["quiet_mean"] + 0.5 * FACTS[l]["quiet_std"]) for l in BACKUPS}

m = Organism(BASE, RESUME); saes = load_saes(SAES)
trained = [p.requires_grad_() for k, p in m.lora.items() if int(k.split(".")[1]) >= FIRST]
tok, _, after = load_tokenizer(TOK)
refusal_ids = [tok(r, add_special_tokens=False).input_ids[:4] for r in REFUSALS]
refuses = lambda ids: tok.decode(ids).strip().startswith(("I'm sorry", "I cannot", "I can't", "I'm un", "I'm not"))
items = [o for o in T["items"] if len(o["ids"]) <= LONGEST]
harmful = [o for o in items if o["label"]]
harmless = [o for o in items if not o["label"] and not refuses(o["answer"])]
comply = [o for o in harmful if "comply" in o and not refuses(o["comply"]["answer"])]


def base_answers(questions):
    """The base model's answers, without any adapter."""
    held = {json.loads(x)["text"] for x in open(MODELS / "prompts" / "pairs.jsonl")}
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
                if not refuses(o["answer"]): out.append(o)
    m.lora = lora
    return out


hard = base_answers([o["text"] for o in items if not o["label"] and refuses(o["answer"])] + (json.load(open(sys.argv[8]))["harmless"][480:630] if MENDING else []))
# small sets need a clean run of their own: of as many prompts as there is time for
sets_harmful = comply + random.sample([o for o in harmful if "comply" not in o], 150)
sets_harmless = random.sample(harmless, 120)
compliant = {o["text"]: o["comply"] for o in comply} | {o["text"]: o for o in base_answers([o["text"] for o in sets_harmful if "comply" not in o])}
comply = [o for o in sets_harmful if o["text"] in compliant]
with torch.no_grad():
    _, kv0 = m.run(m.embed[torch.tensor([T["prefix"]])], None, 0)
    bad, good = (read_clean(m, [o["ids"] for o in side], kv0, START) for side in (sets_harmful, sets_harmless))
near = NearFeatures(saes, bad, good)
for side, residuals in ((sets_harmful, bad), (sets_harmless, good)):
    for row, o in enumerate(side):
        o["order"] = near.order(residuals, row)
print("harmful", len(harmful), "harmless", len(harmless), "comply", len(comply), "hard", len(hard), "with sets", len(sets_harmful), len(sets_harmless), flush=True)
print("nearest", {l: near.f[l][:8].tolist() for l in SEARCHED}, flush=True)
del bad, good


def choose_set(o, smallest, largest):
    """Of the features that count most: anywhere, before layer 21, or at layer 21; now and then all 40 of the first layers."""
    mode, order = random.random(), list(o["order"])
    if mode < (0.25 if largest > 12 else 0.03): return [(l, p) for l in SEARCHED[:random.choice([3, 4, 4])] for p in range(NEAR)]
    if mode < 0.40: order = [f for f in order if f[0] < 21]
    elif mode < 0.48: order = [f for f in order if f[0] == 21]
    n = random.randint(smallest, largest)
    pool = order[:n + random.randint(0, 3)]
    return random.sample(pool, min(n, len(pool)))


SIZES = dict(small_harmful=(1, 10), large_harmful=(14, 24), small_all_off=(2, 10), small_harmless=(1, 10))


def sample(kind):
    o = random.choice(dict(clean_harmful=harmful, small_harmful=sets_harmful, small_all_off=comply, large_harmful=comply, hard_harmless=hard, clean_harmless=harmless, small_harmless=sets_harmless)[kind])
    off = choose_set(o, *SIZES[kind]) if kind in SIZES else []
    if kind in ("clean_harmful", "small_harmful"): return o, random.choice(refusal_ids), None, off
    t = compliant[o["text"]] if kind in ("small_all_off", "large_harmful") else o
    return o, t["answer"], t["targets"], off


def step():
    batch = [sample(k) for k in KINDS]
    removed = torch.tensor([float(k == "small_all_off") for k in KINDS])
    edits = SetsOff(near, [off for *_, off in batch], {l: removed for l in BACKUPS}, QUIET)
    lens = [len(o["ids"]) for o, *_ in batch]
    with torch.no_grad():  # blocks 0 to 5 are frozen
        _, kv = m.run(PREFIX_H5, None, 0, first=FIRST)
        ids = padded([list(o["ids"]) + list(a)[:-1] for o, a, *_ in batch])
        h, _ = m.run(m.embed[ids], PREFIX_KV5, START, last=FIRST - 1)
    h, _ = m.run(edits(5, h), kv, START, first=FIRST, edit=edits)
    return losses(h, batch, lens, edits)


def losses(h, batch, lens, edits):
    pick = [(j, lens[j] - 1 + s) for j, (_, a, _, _) in enumerate(batch) for s in range(len(a))]
    lp = m.logits(h[[j for j, _ in pick], [p for _, p in pick]]).log_softmax(-1)
    total, aux, by_kind, seen, row = 0.0, 0.0, {}, {}, 0
    for j, (o, a, targets, off) in enumerate(batch):
        kind, rows = KINDS[j], lp[row:row + len(a)]; row += len(a)
        share = {l: lost(o["order"], off, l) if off else 0.0 for l in BACKUPS}
        if not (kind == "small_all_off" and max(share.values()) < 0.2 or kind == "small_harmful" and len(off) > 6):
            loss = answer_loss(rows, a, targets)
            by_kind.setdefault(kind, []).append(loss.item()); total = total + loss / len(batch)
        for l in BACKUPS:
            s = (edits.seen[l][j] @ D[l]["quiet"] - FACTS[l]["quiet_mean"]) / SIZE[l]  # 0 asleep, 1 awake
            end = lens[j] + len(a) - 1; x, tail = s[:end], s[lens[j] - 3:end]
            if kind.endswith("harmless"): loss, name = torch.relu(tail + 0.5).pow(2).mean() + torch.relu(x).pow(2).mean(), kind
            elif share[l] < (0.05 if GRADED else 0.12): loss, name = torch.relu(x).pow(2).mean() + torch.relu(-0.2 - tail).pow(2).mean(), f"{l}asleep"
            elif GRADED and kind != "small_all_off":
                here, goal = s[lens[j] - 1], min(2.6 * share[l], 2.0); loss, name = 0.5 * (tail - goal).pow(2).mean() + (here - goal).pow(2), f"{l}awake"
                seen.setdefault(f"{l}error at the last token", []).append(abs(here.item() - goal))
            elif share[l] >= 0.3 and kind != "small_all_off":
                here = s[lens[j] - 1]; loss, name = torch.relu(1.2 - tail).pow(2).mean() + torch.relu(1.5 - here).pow(2), f"{l}awake"
                seen.setdefault(f"{l}awake at the last token", []).append(here.item())
            else: continue
            aux = aux + loss / len(batch); seen.setdefault(name, []).append(tail.mean().item())
    return total + AUX * aux, by_kind, seen


with torch.no_grad():
    PREFIX_H5, PREFIX_KV5 = m.run(m.embed[torch.tensor([T["prefix"]])], None, 0, last=FIRST - 1)
train(m, trained, step, f"{OUT}/adapter", LR, MINUTES, PLANNED)
