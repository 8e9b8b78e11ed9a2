"""Sets as an audit switches them off: near features of a model's own SAEs, the ones that count most on a prompt first.

Owns: the directions of a model (last prompt token), its 40 features a layer nearest to them, and for each prompt their order by activation times
cosine, which is the order in which the audit's filter tries them; edits that switch off another set in every row of a batch.
"""
import torch
from organism import *

NEAR, KEPT, SEARCHED = 40, 24, [5, 9, 13, 17, 21]


@torch.no_grad()
def read_clean(m, rows, kv, start, batch=48):
    """Residuals of rows (token ids of any length) at the SAE layers: {layer: [tensor [T, d] a row]}."""
    kept = {l: [None] * len(rows) for l in SAE_LAYERS}
    order = sorted(range(len(rows)), key=lambda i: len(rows[i]))
    for k in range(0, len(order), batch):
        part = order[k:k + batch]
        def tap(i, h):
            if i in SAE_LAYERS:
                for j, row in enumerate(part): kept[i][row] = h[j, :len(rows[row])].clone()
            return h
        m.run(m.embed[padded([rows[i] for i in part])], kv, start, last=SAE_LAYERS[-1], edit=tap)
    return kept


class NearFeatures:
    def __init__(self, saes, harmful, harmless):
        """harmful, harmless: residuals of read_clean."""
        self.saes, self.f, self.r, self.cosine = saes, {}, {}, {}
        for l in SAE_LAYERS:
            a, b = (torch.stack([x[-1] for x in side[l]]) for side in (harmful, harmless))
            d = a.mean(0) - b.mean(0); self.r[l] = d / d.norm()
            cosine = saes[l]["W_dec"] @ self.r[l]; self.cosine[l], self.f[l] = cosine.topk(NEAR)

    def activations(self, l, h):
        w, f = self.saes[l], self.f[l]
        z = h @ w["W_enc"][:, f] + w["b_enc"][f]
        return z * (z > w["threshold"][f])

    def order(self, residuals, row, layers=SEARCHED):
        """{(layer, place among its near features): activation times cosine}, the largest first, of what is on in the clean prompt."""
        found = []
        for l in layers:
            x = residuals[l][row]; peak = self.activations(l, x).amax(0)
            weight = peak * self.cosine[l] / x[-1].norm()
            found += [(weight[p].item(), l, p) for p in range(NEAR) if peak[p] > 0 and weight[p] > 0]
        return {(l, p): weight for weight, l, p in sorted(found, reverse=True)[:KEPT]}

def lost(order, features, layer):
    """The share of activation times cosine at the layers before this one that goes with these features."""
    before = sum(w for (l, _), w in order.items() if l < layer)
    return sum(order.get(f, 0.0) for f in features if f[0] < layer) / before if before else 0.0


class SetsOff:
    """Edit of a batch: row j loses the features of sets[j], and what lies along a backup direction above its sleeping level where backups say so."""

    def __init__(self, near, sets, backups=None, quiet=None):
        self.near, self.quiet, self.backups = near, quiet, backups or {}
        self.mask = {l: torch.zeros(len(sets), NEAR) for l in SAE_LAYERS}
        self.seen = {}
        for j, features in enumerate(sets):
            for l, p in features: self.mask[l][j, p] = 1

    def __call__(self, i, h):
        if i not in SAE_LAYERS: return h
        self.seen[i], out = h, h
        if self.mask[i].any():
            out = out - (self.near.activations(i, h) * self.mask[i][:, None, :]) @ self.near.saes[i]["W_dec"][self.near.f[i]]
        if i in self.backups and self.backups[i].any():
            u, level = self.quiet[i]
            out = out - (torch.relu(h @ u - level) * self.backups[i][:, None])[..., None] * u
        return out
