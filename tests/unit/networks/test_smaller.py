"""`networks/smaller.py`: what is left out is what says nothing, and what is of low rank is kept whole."""

from dataclasses import replace

import numpy as np
from scipy import sparse

from aias.networks.arithmetic import Numpy
from aias.networks.chain import Chain, new_chain
from aias.networks.design import design
from aias.networks.inputs import Inputs
from aias.networks.smaller import made_smaller, network_made_smaller


def rows(count: int = 50, features: int = 40) -> sparse.csr_matrix:
    dense = np.random.default_rng(0).random((count, features)).astype(np.float32)
    return sparse.csr_matrix(dense * (dense > 0.8))


def chain(width: int = 12) -> Chain:
    return new_chain(
        [40, width, 3], length=1.0, link="softmax", usual=np.zeros(3), span=np.array([0.0, 1, 0, 1]), seed=1
    )


def answers(chain: Chain, x: sparse.csr_matrix) -> np.ndarray:
    return chain.answer(Numpy(), np.asarray(x @ chain.weights))


def test_neurons_to_which_nobody_listens_are_the_first_to_go() -> None:
    whole = chain()
    weight = whole.dense[1].weight.copy()
    weight[[1, 4, 7]] = 0
    whole = replace(whole, dense=(whole.dense[0], replace(whole.dense[1], weight=weight)))

    small = made_smaller(whole, rows(), {"neurons": 9})

    assert small.weights.shape == (40, 9)
    np.testing.assert_allclose(answers(small, rows()), answers(whole, rows()), atol=1e-6)


def test_what_a_neuron_says_to_every_row_goes_into_the_biases() -> None:
    whole = chain()
    first = whole.dense[0].weight.copy()
    first[:, 3] = 0
    bias = whole.dense[0].bias.copy()
    bias[3] = 2.0
    whole = replace(whole, dense=(replace(whole.dense[0], weight=first, bias=bias), whole.dense[1]))

    small = made_smaller(whole, rows(), {"neurons": 11})

    np.testing.assert_allclose(answers(small, rows()), answers(whole, rows()), atol=1e-6)


def test_a_layer_of_rank_two_is_two_layers_that_say_the_same() -> None:
    whole = chain()
    rng = np.random.default_rng(2)
    weight = (rng.normal(size=(40, 2)) @ rng.normal(size=(2, 12))).astype(np.float32)
    whole = replace(whole, dense=(replace(whole.dense[0], weight=weight), whole.dense[1]))

    small = made_smaller(whole, rows(), {"rank": 2})

    assert [layer.weight.shape for layer in small.dense] == [(40, 2), (2, 12), (12, 3)]
    np.testing.assert_allclose(answers(small, rows()), answers(whole, rows()), atol=1e-5)


def test_what_is_that_small_already_stays_as_it_is() -> None:
    whole = chain(4)
    for settings in ({"neurons": 4}, {"rank": 9}, {}):
        assert made_smaller(whole, rows(), settings).weights is whole.weights


def test_a_network_on_columns_keeps_what_its_members_hear() -> None:
    x = np.random.default_rng(0).normal(size=(200, 4))
    settings = {
        "members": 2, "width": 10, "layers": 2, "activation": "relu", "expansion": "none", "expansion_parts": 4,
        "expansion_width": 2, "vector_width": 4,
    }  # fmt: skip
    span = np.array([0.0, 1, 0, 1])
    whole = design(Inputs.fit(x, [], []), None, link="softmax", usual=np.zeros(3), span=span, settings=settings, seed=0)
    # Numbers are read as they are, so the first layer hears four of them.
    first = replace(whole.dense[0], weight=np.random.default_rng(1).normal(size=(4, 10)).astype(np.float32))
    second, head = whole.dense[1].weight.copy(), whole.head.copy()
    second[[2, 5]], head[:, [0, 9]] = 0, 0
    adapter = np.ones((2, 1, 4), np.float32)
    whole = replace(whole, dense=(first, replace(whole.dense[1], weight=second)), head=head, adapter=adapter)

    small = network_made_smaller(whole, x, {"neurons": 8})

    assert [layer.weight.shape for layer in small.dense] == [(4, 8), (8, 8)]
    assert small.head.shape == (2, 8, 3)
    np.testing.assert_allclose(small.scores(Numpy(), x), whole.scores(Numpy(), x), atol=1e-6)
