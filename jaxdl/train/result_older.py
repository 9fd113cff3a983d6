"""Results that were written before all experiments had the schema of `jaxdl.train.result`.

The older schemas, of experiments that then wrote

    {"metrics": {name: {"mean", "ci95", "episodes"}}}        few-shot learning
    {"metrics": {name: {"value", "ci95", "images"}}}         classifiers and GANs, also nested, with
                                                             lists "by class"
    {"mean_auroc": {kind: mean}, "auroc": {anomaly: {kind: {"value", "low", "high"}}}}
    {"anomaly", "measures": {kind: {measure: {"value", ...}}}}      of one anomaly
    {"errors": {units: [of each fold]}, "chosen", "test error"}     of kfold_digits
    {"optimizers": {name: {"test accuracy", "deviation", ...}}}     of optimizer_race
"""

import statistics
from collections.abc import Mapping
from typing import Any

_RENAMED = {"value": "mean", "episodes": "count", "images": "count"}


def converted(found: Mapping[str, Any], config: Mapping[str, Any]) -> dict[str, Any]:
    """Returns an older result in the schema of today.

    Args:
      found: the JSON object of the file.
      config: the options of the run, where the file has none of its own.

    Raises:
      ValueError: it has no metrics.
      KeyError: it does not say which experiment it is of.
    """
    config = dict(found.get("config", config))
    protocol = found.get("protocol", {})
    if "anomaly" in found:
        kept = ("anomaly", "images", "share of anomalies")
        protocol = {name: found[name] for name in kept if name in found}
        protocol |= {name: config[name] for name in ("protocol",) if name in config}
    return {
        "experiment": found["experiment"],
        "dataset": found.get("dataset", config.get("dataset")),
        "protocol": {"test": protocol} if isinstance(protocol, str) else protocol,
        "metrics": _metrics_of(found, config),
        "seed": found.get("seed", config.get("seed")),
        "steps": found.get("steps"),
        "seconds": found.get("seconds"),
        "params_sha256": found.get("params_sha256") or None,
        "device": found.get("device"),
        "versions": found.get("versions", {}),
        "command": None,
        "commit": None,
        "config": config,
    }


def metrics(nested: Mapping[str, Any]) -> dict[str, Any]:
    """Returns metrics of any depth, with "value" or "mean", without nesting and with "mean"."""
    flat: dict[str, Any] = {}
    for name, value in nested.items():
        if not isinstance(value, Mapping):  # such as a number of parameters
            flat[name] = _metric(value)
        elif name == "by class":
            for measure, values in value.items():
                flat |= {f"{measure}/{i}": _metric(each) for i, each in enumerate(values)}
        elif {"value", "mean"} & value.keys():
            fields: dict[str, Any] = dict(value)
            flat[name] = _metric(**{_RENAMED.get(key, key): v for key, v in fields.items()})
        else:
            flat |= {f"{name}/{inner}": metric for inner, metric in metrics(value).items()}
    return flat


def _metrics_of(found: Mapping[str, Any], config: Mapping[str, Any]) -> dict[str, Any]:
    if "metrics" in found:
        return metrics(found["metrics"])
    if "measures" in found:
        return metrics(found["measures"])
    if "mean_auroc" in found:
        rows = found["auroc"]
        flat = {k: _metric(mean, count=len(rows)) for k, mean in found["mean_auroc"].items()}
        flat = {f"{kind}/auroc": each for kind, each in flat.items()}
        for anomaly, row in rows.items():
            flat |= {f"{kind}/auroc/{anomaly}": m for kind, m in metrics(row).items()}
        return flat
    if "errors" in found:
        flat = {name: _metric(found[name]) for name in ("chosen", "test error")}
        for units, errors in found["errors"].items():
            deviation = statistics.stdev(errors)
            mean = statistics.fmean(errors)
            flat[f"error/{units}"] = _metric(mean, count=len(errors), deviation=deviation)
            flat |= {f"error/{units}/{fold}": _metric(each) for fold, each in enumerate(errors)}
        return flat
    if "optimizers" in found:
        flat = {}
        for name, row in found["optimizers"].items():
            values = {k: _metric(value) for k, value in row.items() if k != "deviation"}
            values["test accuracy"] |= {
                "count": config.get("seeds"),
                "deviation": row["deviation"],
            }
            flat |= {f"{name}/{key}": value for key, value in values.items()}
        return flat
    raise ValueError("there are no metrics")


def _metric(
    mean: float, ci95: float | None = None, count: int | None = None, **more: float
) -> dict[str, Any]:
    return {"mean": mean, "ci95": ci95, "count": count, **more}
