"""Fits fastFM (ALS) and myFM (Gibbs) to the data that bench/fm/libraries.ts wrote, and prints their held-out R2 and seconds of processor time as JSON.

Both get centred columns when that validates better than 0/1, and fastFM a grid of penalties chosen on the same validation rows.
"""

import json
import pathlib
import sys
import time

import numpy as np
import scipy.sparse as sp
from fastFM import als
from myfm import MyFMRegressor

folder = pathlib.Path(sys.argv[1])
PASSES = 50


def r2(predicted, target):
    return float(1 - ((predicted - target) ** 2).sum() / ((target - target.mean()) ** 2).sum())


def fit_als(x, y, rank, l2_w, l2_v, passes):
    model = als.FMRegression(n_iter=passes, rank=rank, l2_reg_w=l2_w, l2_reg_V=l2_v, init_stdev=0.05, random_state=1)
    return model.fit(sp.csc_matrix(x), y)


def best_als(parts, rank):
    """The grid that a careful user would try; then one fit on training and validation rows together."""
    best = None
    for centred in (False, True):
        shift = 0.5 if centred else 0.0
        scale = 2.0 if centred else 1.0
        design = {name: (x - shift) * scale for name, (x, _) in parts.items()}
        for l2_w in (3.0,):
            for l2_v in (1.0, 5.0, 20.0, 80.0, 300.0):
                model = fit_als(design["train"], parts["train"][1], rank, l2_w, l2_v, 100)
                score = r2(model.predict(sp.csc_matrix(design["validation"])), parts["validation"][1])
                if np.isfinite(score) and (best is None or score > best[0]):
                    best = (score, shift, scale, l2_w, l2_v)
    _, shift, scale, l2_w, l2_v = best
    x = np.concatenate([parts["train"][0], parts["validation"][0]])
    y = np.concatenate([parts["train"][1], parts["validation"][1]])
    model = fit_als((x - shift) * scale, y, rank, l2_w, l2_v, 100)
    return model.predict(sp.csc_matrix((parts["test"][0] - shift) * scale))


def gibbs(parts, rank):
    x = np.concatenate([parts["train"][0], parts["validation"][0]])
    y = np.concatenate([parts["train"][1], parts["validation"][1]])
    best = None
    for shift, scale in ((0.0, 1.0), (0.5, 2.0)):
        chosen = MyFMRegressor(rank=rank, random_seed=1)
        chosen.fit(sp.csr_matrix((parts["train"][0] - shift) * scale), parts["train"][1], n_iter=300)
        score = r2(chosen.predict(sp.csr_matrix((parts["validation"][0] - shift) * scale)), parts["validation"][1])
        if best is None or score > best[0]:
            best = (score, shift, scale)
    _, shift, scale = best
    model = MyFMRegressor(rank=rank, random_seed=1)
    model.fit(sp.csr_matrix((x - shift) * scale), y, n_iter=300)
    return model.predict(sp.csr_matrix((parts["test"][0] - shift) * scale))


out = []
for case in json.loads((folder / "cases.json").read_text()):
    columns, rank = case["columns"], case["rank"]
    values = np.fromfile(folder / f"{case['name']}.x.f32", np.float32).reshape(-1, columns).astype(np.float64)
    target = np.fromfile(folder / f"{case['name']}.y.f64", np.float64)
    parts = {name: (values[rows], target[rows]) for name, rows in case["split"].items()}
    x, y = parts["train"]
    started = time.process_time()
    fit_als(x, (y - y.mean()) / y.std(), rank, 0.01 * len(y), 0.01 * len(y), PASSES)
    per_pass = (time.process_time() - started) / PASSES
    started = time.process_time()
    als_r2 = r2(best_als(parts, rank), parts["test"][1])
    als_seconds = time.process_time() - started
    started = time.process_time()
    gibbs_r2 = r2(gibbs(parts, rank), parts["test"][1])
    out.append(
        {
            "name": case["name"],
            "passMs": per_pass * 1000,
            "als": {"r2": als_r2, "seconds": als_seconds},
            "gibbs": {"r2": gibbs_r2, "seconds": time.process_time() - started},
        }
    )
(folder / "libraries.json").write_text(json.dumps(out))
