import numpy as np
import pytest

from jaxdl.data import anomalies, images

DATA = {
    part: {"image": np.arange(*span).reshape(-1, 1, 1, 1), "label": np.arange(*span) % 5}
    for part, span in (("train", (0, 100)), ("test", (100, 150)))
}


@pytest.mark.parametrize("protocol", ["pooled", "official"])
def test_no_image_is_in_two_parts_and_no_anomaly_is_learned(protocol):
    split = anomalies.split(DATA, 2, protocol, seed=0)
    parts = [part.reshape(-1) for part in split[:3]]
    together = np.concatenate(parts)
    assert len(np.unique(together)) == len(together)
    assert not (parts[0] % 5 == 2).any()
    assert not (parts[1] % 5 == 2).any()
    np.testing.assert_array_equal(parts[2] % 5 == 2, split.anomalous)


def test_sizes_and_seeds():
    # 120 healthy images: 96 known, of which 9 for validation; 24 new, and all 30 anomalies.
    pooled = anomalies.split(DATA, 2, "pooled", seed=0)
    assert [len(part) for part in pooled[:3]] == [87, 9, 54]
    assert pooled.anomalous.sum() == 30
    # 80 healthy ones in `train`, 40 in `test`, with 10 anomalies.
    official = anomalies.split(DATA, 2, "official", seed=0)
    assert [len(part) for part in official[:3]] == [72, 8, 50]
    assert official.test.min() >= 100
    again = anomalies.split(DATA, 2, "pooled", seed=0)
    np.testing.assert_array_equal(pooled.train, again.train)
    other = anomalies.split(DATA, 2, "pooled", seed=1)
    assert (pooled.train != other.train).any()
    with pytest.raises(ValueError, match="class 7 is not one"):
        anomalies.split(DATA, 7, "pooled", seed=0)


def test_digits_and_their_size():
    name, data = images.load("digits")
    assert name == "digits"
    assert [len(data[part]["label"]) for part in ("train", "test")] == [1437, 360]
    assert data["train"]["image"].max() == 255
    large = images.resize(data["test"]["image"], 32)
    assert large.shape == (360, 32, 32, 1)
    assert large.dtype == np.uint8
    # In the middle of the image an interpolation keeps the mean.
    np.testing.assert_allclose(large.mean(), data["test"]["image"].mean(), rtol=0.02)
    assert images.resize(large, 32) is large


def test_without_mnist_there_are_digits(monkeypatch, tmp_path, capsys):
    from jaxdl.data import prepare

    def fail(name, data_dir):
        raise prepare.PrepareError("no network")

    monkeypatch.setattr(prepare, "download_and_prepare", fail)
    assert images.load("auto", data_dir=tmp_path)[0] == "digits"
    assert "mnist cannot be had (no network)" in capsys.readouterr().out
    with pytest.raises(ValueError, match="no network"):
        images.load("fashion_mnist", data_dir=tmp_path)
