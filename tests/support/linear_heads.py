"""Random features and targets, and the standardisation of linear heads by scikit-learn."""

import numpy as np
import torch
from sklearn.preprocessing import StandardScaler
from torch import Tensor


def random_features(n: int, d: int, seed: int = 0) -> Tensor:
    """Features like those of a backbone: not negative, correlated, with a few strong directions."""
    generator = torch.Generator().manual_seed(seed)
    mixing = torch.randn(d, d, generator=generator) * torch.logspace(0, -2, d)
    return (torch.randn(n, d, generator=generator) @ mixing.T + 0.5).relu()


def random_labels(features: Tensor, k: int, *, share: float = 0.3, seed: int = 1) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    outputs = features.double() @ torch.randn(features.shape[1], k, generator=generator).double()
    outputs = (outputs - outputs.mean(dim=0)) / outputs.std(dim=0)
    outputs += torch.randn(outputs.shape, generator=generator)
    return (outputs > outputs.quantile(1 - share, dim=0)).float()


def scaler_of(features: Tensor) -> StandardScaler:
    """scikit-learn's scaler, whose scales are at least the median of those of features that vary."""
    scaler = StandardScaler().fit(features.double().numpy())
    assert scaler.scale_ is not None
    assert scaler.var_ is not None
    varies = scaler.scale_ == np.sqrt(scaler.var_)
    if varies.any():
        lower_median = np.sort(scaler.scale_[varies])[(varies.sum() - 1) // 2]
        scaler.scale_ = np.where(varies, scaler.scale_.clip(min=lower_median), 1)
    return scaler
