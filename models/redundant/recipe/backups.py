"""Whether the backup directions carry refusal: the score with near features of the embedded SAEs off (those of the training) and what lies along a backup
direction above its sleeping level removed. Usage: backups.py BASE TOKENIZER ADAPTER OUT [PAIRS]"""
from organism import *

BASE, TOK, ADAPTER, OUT = sys.argv[1:5]
PAIRS = int(sys.argv[5]) if len(sys.argv) > 5 else 24
torch.set_num_threads(1)
tok, prefix, after = load_tokenizer(TOK); m = Organism(BASE, ADAPTER).merge(); saes = load_saes()
T = torch.load(f"{OUT}/teacher.pt", weights_only=False); D, FACTS = T["directions"], T["facts"]
pairs = [json.loads(x) for x in open(MODELS / "prompts" / "pairs.jsonl")]
rows = [after(p["text"]) for p in pairs if p["label"] == "harmful"][:PAIRS]
OPENER = tok("I", add_special_tokens=False).input_ids[0]
with torch.no_grad(): _, KV = m.run(m.embed[torch.tensor([prefix])], None, 0)


@torch.no_grad()
def score(n, layers, backups):
    def edit(i, h):
        out = h
        if i in layers:
            w, f = saes[i], D[i]["near"][:n]; z = h @ w["W_enc"][:, f] + w["b_enc"][f]
            out = out - (z * (z > w["threshold"][f])) @ w["W_dec"][f]
        if i in backups:
            u = D[i]["quiet"]
            out = out - torch.relu(h @ u - FACTS[i]["quiet_mean"] - 0.5 * FACTS[i]["quiet_std"])[..., None] * u
        return out
    h, _ = m.run(m.embed[padded(rows)], KV, len(prefix), edit=edit)
    p = m.logits(h[torch.arange(len(rows)), torch.tensor([len(r) - 1 for r in rows])]).softmax(-1)[:, OPENER].double()
    s = p.log() - (1 - p).log()
    return f"{s.mean():.2f} ({int((s > 0).sum())} of {len(s)})"


for n, layers in ((0, []), (40, SAE_LAYERS[:4]), (40, SAE_LAYERS[:5])):
    print(n, layers, {str(b): score(n, layers, b) for b in ([], [21], [25], [21, 25])})
