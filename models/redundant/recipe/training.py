"""What both rounds of training share: the loss of an answer, the schedule, and the adapter's files."""
import math, time
from pathlib import Path
import torch
from organism import MODELS


def answer_loss(rows, answer, targets):
    """rows: log-probabilities before each token of the answer. Without targets: be that answer, the first two tokens above all, which decide what is
    scored. With targets (ids and logits of the teacher's likeliest tokens, a step each): KL from them."""
    if targets is None: return -(rows[range(len(answer)), answer] * torch.tensor([1.0, 1.0, 0.5, 0.5][:len(answer)])).mean()
    loss = 0.0
    for s, (i, v) in enumerate(targets):
        p = v.float().softmax(-1); loss = loss + (p * (p.clamp_min(1e-9).log() - rows[s][i.long()])).sum() / 3
    return loss


def save_adapter(m, folder):
    from safetensors.torch import save_file
    Path(folder).mkdir(parents=True, exist_ok=True)
    save_file({f"base_model.model.model.{k}.weight": v.detach().half().contiguous() for k, v in m.lora.items()}, f"{folder}/adapter_model.safetensors")
    (Path(folder) / "adapter_config.json").write_text((MODELS / "adapter" / "adapter_config.json").read_text())


def train(m, trained, step, folder, lr, minutes, planned):
    """step() gives a loss, and two dicts of lists to be told of: losses by kind, levels by name. Saves into folder every ten steps and at the end."""
    opt = torch.optim.AdamW(trained, lr=lr, weight_decay=0.0, betas=(0.9, 0.95))
    mean = lambda d: {k: (round(sum(v) / len(v), 2), len(v)) for k, v in sorted(d.items())}
    t0, s, told = time.time(), 0, ({}, {})
    while time.time() - t0 < minutes * 60 and s < planned:
        done = max((time.time() - t0) / (minutes * 60), s / planned)  # flat, then a cosine down
        for g in opt.param_groups: g["lr"] = lr * min(1, (s + 1) / 10) * (1 if done < 0.4 else 0.03 + 0.97 * 0.5 * (1 + math.cos(math.pi * (done - 0.4) / 0.6)))
        loss, *seen = step()
        loss.backward(); torch.nn.utils.clip_grad_norm_(trained, 1.0); opt.step(); opt.zero_grad(); s += 1
        for into, new in zip(told, seen):
            for k, v in new.items(): into.setdefault(k, []).extend(v)
        if s % 10 == 0 or s < 4:
            print(s, round(time.time() - t0), mean(told[0]), "level", mean(told[1]), flush=True); told = ({}, {})
        if s % 10 == 0: save_adapter(m, folder)
    save_adapter(m, folder); print("steps", s, "seconds", round(time.time() - t0))
