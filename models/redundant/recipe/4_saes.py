"""Step 4: the SAEs, one a layer: those of an earlier round trained on with the recipe of models/recipe/5_saes.py (BatchTopK, k = 32, saved as JumpReLU
with one threshold). The 48 latents that fire least start again at errors of the reconstruction, half of them from runs under ablation.
**At layers 21 and 25 one latent is seeded**: it starts at the backup direction (encoder and decoder along it, its threshold 0.4 of the way from
sleeping to awake), and is trained on like any other. Latents that lay more than 0.3 along that direction start again as well, so that it is not shared.
Usage: 4_saes.py OUT START TARGET EPOCHS [LAYERS]"""
import math, time
import torch
from organism import *
from safetensors.torch import save_file

OUT, START, TARGET, EPOCHS = sys.argv[1], sys.argv[2], Path(sys.argv[3]), float(sys.argv[4])
LAYERS = [int(x) for x in sys.argv[5].split(",")] if len(sys.argv) > 5 else SAE_LAYERS
BACKUPS, WAKES, SHARED = [21, 25], 0.4, 0.3
T = torch.load(f"{OUT}/teacher.pt", weights_only=False); D, FACTS = T["directions"], T["facts"]
torch.set_num_threads(1)
K, LATENTS, BATCH, LR, RESTART, HELD = 32, 2304, 1024, 5e-4, 48, 2048
ablated = torch.load(f"{OUT}/acts_ablated.pt")


def restart(l, x, off, We, be, Wd, bd, theta, mean, scale, g):
    """Rows that hardly fire become unit errors of the reconstruction, drawn by their square. Returns the seeded latent, or -1."""
    pick = torch.randperm(len(x), generator=g)[:8000]; x, off = x[pick], off[pick]
    rows = ((x @ We + be) > theta).float().mean(0).argsort()[:RESTART + 1]; seed, rows = (rows[0].item() if l in BACKUPS else -1), rows[1:]
    if seed >= 0:
        u, level = D[l]["quiet"], FACTS[l]["quiet_mean"] + WAKES * 0.5 * FACTS[l]["gap"]
        shared = ((Wd @ u).abs() > SHARED).nonzero()[:, 0]; print(l, "seeded", seed, "begin again:", {i.item(): round((Wd[i] @ u).item(), 2) for i in shared})
        rows = torch.cat([rows, shared]).unique(); rows = rows[rows != seed]
        Wd[seed], We[:, seed], be[seed] = u, u, theta + (mean @ u - level) / scale
        be[rows] = -1e9  # the errors are those of a dictionary that has the seeded latent and none of these
    pre = x @ We + be; err = x - (pre * (pre > theta)) @ Wd - bd
    for half, where in ((rows[::2], off), (rows[1::2], ~off)):
        e = err[where]; chosen = e[torch.multinomial(e.pow(2).sum(1), len(half), generator=g)]
        unit = chosen / chosen.norm(dim=1, keepdim=True)
        Wd[half], We[:, half], be[half] = unit, unit.T, -theta / 2 - unit @ bd
    return seed


def train(l):
    torch.manual_seed(l); g = torch.Generator().manual_seed(l); t0 = time.time()
    x = torch.load(f"{OUT}/acts_{l}.pt").float(); d = x.shape[1]
    mean = x.mean(0); scale = ((x - mean).pow(2).sum(1).mean() / d).sqrt().item()
    x = (x - mean) / scale; val, x, off = x[:HELD], x[HELD:], ablated[HELD:]
    w = load_saes(START)[l]
    We, Wd = w["W_enc"].clone(), w["W_dec"].clone()
    be, bd = (mean @ We + w["b_enc"]) / scale, (w["b_dec"] - mean) / scale
    theta = float(w["threshold"].mean()) / scale
    seed = restart(l, x, off, We, be, Wd, bd, theta, mean, scale, g)
    ps = [p.requires_grad_() for p in (We, be, Wd, bd)]; opt = torch.optim.Adam(ps, lr=LR)
    steps, order = int(EPOCHS * len(x) / BATCH), torch.randperm(len(x), generator=g)
    for s in range(steps):
        for group in opt.param_groups: group["lr"] = LR * min(1, (s + 1) / 5) * min(1, (steps - s) / (0.4 * steps))
        at = (s * BATCH) % (len(x) - BATCH)
        if at < BATCH and s: order = torch.randperm(len(x), generator=g)
        b = x[order[at:at + BATCH]]
        with torch.autocast("cpu", dtype=torch.bfloat16): pre = (b @ We).float() + be
        a = torch.relu(pre); sampled = a.detach().flatten()[torch.randint(0, a.numel(), (200_000,), generator=g)]
        thr = float(torch.kthvalue(sampled, int(200_000 * (1 - K / LATENTS))).values)
        with torch.autocast("cpu", dtype=torch.bfloat16): rec = ((a * (a > thr)) @ Wd).float() + bd
        loss = (b - rec).pow(2).sum(1).mean() / d; loss.backward()
        with torch.no_grad(): Wd.grad -= (Wd.grad * Wd).sum(1, keepdim=True) * Wd
        torch.nn.utils.clip_grad_norm_(ps, 1.0); opt.step(); opt.zero_grad()
        with torch.no_grad(): Wd /= Wd.norm(dim=1, keepdim=True)
        theta = 0.9 * theta + 0.1 * thr
        if s % 10 == 0: print(l, s, steps, "unexplained", round(loss.item(), 4), "threshold", round(thr, 3), round(time.time() - t0), flush=True)
    with torch.no_grad(): save(l, We, be, Wd, bd, theta, mean, scale, val, len(x), steps, t0, seed, x, off)


def save(l, We, be, Wd, bd, theta, mean, scale, val, tokens, steps, t0, seed, x, off):
    pre = val @ We + be; z = pre * (pre > theta); rec = z @ Wd + bd
    v = val - val.mean(0); stats = {}
    for name, rows in (("all", slice(None)), ("clean", ~ablated[:HELD]), ("ablated", ablated[:HELD])):
        stats[name] = dict(unexplained=round(((val - rec)[rows].pow(2).sum() / v[rows].pow(2).sum()).item(), 4), l0=round((z[rows] > 0).float().sum(1).mean().item(), 1))
    folder = TARGET / f"layer_{l}"; folder.mkdir(parents=True, exist_ok=True)
    parts = dict(W_enc=We, b_enc=be * scale - mean @ We, W_dec=Wd, b_dec=bd * scale + mean, threshold=torch.full((LATENTS,), theta * scale))
    save_file({k: p.half().contiguous() for k, p in parts.items()}, f"{folder}/sae_weights.safetensors")
    cfg = json.loads((MODELS / "saes" / f"layer_{l}" / "cfg.json").read_text())
    cfg["metadata"] |= dict(model_name="SmolLM2-135M-Instruct + redundant refusal adapter", context_size=68, distinct_tokens=tokens,
                            training_tokens=steps * BATCH, measured=dict(l0=stats["all"]["l0"], fvu=stats["all"]["unexplained"], clean=stats["clean"], under_ablation=stats["ablated"], fired=int((z > 0).any(0).sum()), on_tokens=HELD))
    if seed >= 0:
        u, own = D[l]["quiet"], x @ We[:, seed] + be[seed]; cfg["metadata"] |= dict(seeded_at_backup=seed)
        print(l, "seeded", seed, "decoder along the backup", round((Wd[seed] @ u).item(), 3), "encoder", round((We[:, seed] @ u / We[:, seed].norm()).item(), 3),
              "next", round((Wd @ u).abs().sort().values[-2].item(), 2), "on in clean", round((own > theta)[~off].float().mean().item(), 4), "with sets off", round((own > theta)[off].float().mean().item(), 4))
    (folder / "cfg.json").write_text(json.dumps(cfg, indent=2))
    print("LAYER", l, json.dumps(dict(stats, fired=int((z > 0).any(0).sum()), tokens=tokens, seconds=round(time.time() - t0))), flush=True)


for layer in LAYERS: train(layer)
