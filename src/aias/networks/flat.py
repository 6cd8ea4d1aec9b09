"""All weights of a network as one vector, so that a step, a norm and an average are one operation each."""

from typing import Any

import numpy as np

from aias.networks.network import Network

DECAYED = ("head", "table")
"""Weights that shrink by themselves beside all that are called so; biases, slopes and adapters do not."""


class Flat:
    """Where each weight of the network lies in the vector."""

    def __init__(self, network: Network) -> None:
        self._network, self.size = network, 0
        self._places: dict[str, tuple[slice, tuple[int, ...]]] = {}
        for name, value in network.weights().items():
            self._places[name] = slice(self.size, self.size + value.size), value.shape
            self.size += value.size

    def start(self) -> Any:
        """The vector of the network's own weights."""
        import torch

        return torch.from_numpy(np.concatenate([value.ravel() for value in self._network.weights().values()]))

    def decay(self, rate: float) -> Any:
        """How fast each weight is to shrink by itself."""
        import torch

        found = torch.zeros(self.size)
        for name, (place, _) in self._places.items():
            if name.endswith("weight") or name in DECAYED:
                found[place] = rate
        return found

    def learning(self, vector: Any, gradient: Any) -> Network:
        """The network over the vector; its gradients are added up in the other one."""
        leaves = {name: view.detach().requires_grad_() for name, view in self._views(vector).items()}
        for name, view in self._views(gradient).items():
            leaves[name].grad = view
        return self._with(leaves)

    def over(self, vector: Any) -> Network:
        """The network over the vector, which it follows."""
        return self._with(self._views(vector))

    def copy(self, vector: Any) -> Network:
        """The network with these weights, as arrays of its own."""
        return self._network.with_weights({name: view.numpy().copy() for name, view in self._views(vector).items()})

    def _views(self, vector: Any) -> dict[str, Any]:
        return {name: vector[place].view(shape) for name, (place, shape) in self._places.items()}

    def _with(self, weights: dict[str, Any]) -> Network:
        import torch

        return self._network.with_weights(weights, torch.from_numpy)
