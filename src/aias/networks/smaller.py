"""Networks made smaller: neurons left out, or a layer as the product of two thin ones; training heals what that broke.

neurons   of each hidden layer those stay that move the outputs most: the deviation of what a neuron says over the rows,
          times the length of the weights that listen to it. What the others say in the mean goes into the biases.
rank      W ≈ U V, of rank r: (a, b) weights become (a, r) and (r, b). By the singular values of W scaled by how large
          each input is (Eckart and Young 1936), so that what no row uses costs nothing.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from aias.networks.arithmetic import Numpy
from aias.networks.chain import Chain
from aias.networks.network import Dense, Network

Array = npt.NDArray[Any]


def made_smaller(chain: Chain, x: Any, settings: Mapping[str, Any]) -> Chain:
    """As the settings `neurons` and `rank` say, by the rows `x`; a chain that is that small already stays as it is."""
    dense = list(chain.dense)
    neurons, rank = settings.get("neurons"), settings.get("rank")
    if neurons is not None:
        for place in range(len(dense) - 1):
            said = _before(dense, x, place + 1)
            dense[place], (dense[place + 1],) = pruned(dense[place], said, [dense[place + 1]], neurons)
    if rank is not None and rank < min(dense[0].weight.shape) and dense[0].activation != "none":
        sizes = np.sqrt(np.asarray(x.multiply(x).mean(axis=0)).ravel())
        dense[:1] = factorised(dense[0], sizes, rank)
    return replace(chain, dense=tuple(dense))


def network_made_smaller(network: Network, x: Array, settings: Mapping[str, Any]) -> Network:
    """As the setting `neurons` says, by the rows of encoded columns `x`."""
    neurons = settings.get("neurons")
    if neurons is None:
        return network
    for place in range(len(network.dense)):
        do = Numpy()
        said = list(network.said(do, network.inputs.read(do, x)))[place + 1]  # (members, rows, width)
        network = _without(network, place, said.reshape(-1, said.shape[2]), neurons)
    return network


def _without(network: Network, place: int, said: Array, neurons: int) -> Network:
    dense = list(network.dense)
    if place + 1 < len(dense):
        dense[place], (dense[place + 1],) = pruned(dense[place], said, [dense[place + 1]], neurons)
        return replace(network, dense=tuple(dense))
    heads = [Dense(each, bias[0], "none") for each, bias in zip(network.head, network.head_bias, strict=True)]
    dense[place], heads = pruned(dense[place], said, heads, neurons)
    head, bias = np.stack([each.weight for each in heads]), np.stack([each.bias for each in heads])[:, None]
    return replace(network, dense=tuple(dense), head=head, head_bias=bias)


def pruned(layer: Dense, said: Array, listeners: list[Dense], neurons: int) -> tuple[Dense, list[Dense]]:
    """The layer with so many neurons, and those that listen to it; `said`: by the rows, (rows, width)."""
    width = said.shape[1]
    if neurons >= width:
        return layer, listeners
    heard = np.sqrt(sum((each.weight**2).sum(axis=1) for each in listeners))
    order = np.argsort(-(said.std(axis=0) * heard), kind="stable")
    kept, gone = np.sort(order[:neurons]), np.sort(order[neurons:])
    usual = said.mean(axis=0).astype(np.float32)
    heirs = [
        replace(each, weight=each.weight[kept], bias=each.bias + usual[gone] @ each.weight[gone]) for each in listeners
    ]
    return replace(layer, weight=np.ascontiguousarray(layer.weight[:, kept]), bias=layer.bias[kept]), heirs


def factorised(layer: Dense, sizes: Array, rank: int) -> list[Dense]:
    """The layer as two; `sizes`: of its inputs, (width before,)."""
    scale = np.maximum(sizes, 1e-3 * sizes.max(initial=1e-9))[:, None]
    left, values, right = np.linalg.svd(scale * layer.weight.astype(np.float64), full_matrices=False)
    first = (left[:, :rank] * values[:rank] / scale).astype(np.float32)
    nothing = np.zeros(rank, np.float32)
    return [Dense(first, nothing, "none"), replace(layer, weight=right[:rank].astype(np.float32))]


def _before(dense: list[Dense], x: Any, place: int) -> Array:
    """What the layers before a place say of the rows, (rows, width)."""
    do, z = Numpy(), x
    for layer in dense[:place]:
        z = layer.after(do, np.asarray(z @ layer.weight))
    return np.asarray(z)
