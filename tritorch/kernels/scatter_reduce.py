"""Scatter with a product or an extremum over what falls on one place (torch.scatter_reduce)."""

from __future__ import annotations

from typing import Any

import numpy as np

from ._op import Array, op
from .copy import where
from .index import combined, folded, gather, padded, scatter_add


@op
class scatter_prod:
    """x times the product of the elements of v that fall on each place along `dim`."""

    holomorphic = True

    def cpu(x: Array, v: Array, dim: int, i: Any) -> Array:
        return combined(np.multiply, x, v, dim, i)

    def gpu(x: Array, v: Array, dim: int, i: Any) -> Array:
        return folded(x, v, dim, i, "prod")

    def grad(g, x, v, v_shape, dim, i):
        # the product of all other factors: for a factor that is not 0 the whole product through it; a 0 sees the
        # product of the others if it is the only 0 of its place, times the other 0 (whose derivative counts) if there is one
        one, zero = x.new_ones(()), x.new_zeros(())
        used = v[tuple([slice(n) for n in i.shape])]
        x_zero, v_zero = x == 0, used == 0
        xs, vs = where(x_zero, one, x), where(v_zero, one, used)
        zeros = scatter_add(
            where(x_zero, one, zero.expand(x.shape)), where(v_zero, one, zero.expand(used.shape)), dim, i
        )
        whole = scatter_prod(x, used, dim, i)
        rest = scatter_prod(xs, vs, dim, i)
        single, pair = where(zeros == 1, rest, zero), where(zeros == 2, rest, zero)
        both = scatter_add(where(x_zero, x, zero), where(v_zero, used, zero), dim, i)
        gx = g * where(x_zero, single + pair * (both - x), whole / xs)
        at_v = gather(single, dim, i) + gather(pair, dim, i) * (gather(both, dim, i) - used)
        gv = gather(g, dim, i) * where(v_zero, at_v, gather(whole, dim, i) / vs)
        return gx, padded(gv, v_shape)

    def samples(rng):
        x, v, index = rng.uniform(0.5, 2, (4, 3)), rng.uniform(0.5, 2, (3, 3)), np.array([[0, 2, 3], [1, 2, 0]])
        yield (x.copy(), v.copy()), (0, index)
        x[0, 0] = x[2, 1] = v[0, 1] = v[1, 0] = 0  # one zero at a place, two at a place
        yield (x, v), (0, index)

    def cost(x, v, dim, i):
        return 2 * x.nbytes + i.size * x.itemsize + i.nbytes, i.size


@op
class scatter_extremum:
    """The largest (or smallest) of x and the elements of v that fall on each place along `dim`."""

    def cpu(x: Array, v: Array, dim: int, i: Any, largest: bool) -> Array:
        return combined(np.maximum if largest else np.minimum, x, v, dim, i)

    def gpu(x: Array, v: Array, dim: int, i: Any, largest: bool) -> Array:
        return folded(x, v, dim, i, "max" if largest else "min")

    def grad(g, x, v, y, v_shape, dim, i):
        one, zero = g.new_ones(()), g.new_zeros(())
        used = v[tuple([slice(n) for n in i.shape])]
        x_wins = where(x == y, one, zero.expand(x.shape))
        v_wins = where(used == gather(y, dim, i), one, zero.expand(used.shape))
        share = g / scatter_add(x_wins, v_wins, dim, i)
        return share * x_wins, padded(gather(share, dim, i) * v_wins, v_shape)

    def samples(rng):
        yield (rng.normal(size=(4, 3)), rng.normal(size=(3, 3))), (0, np.array([[0, 2, 3], [1, 2, 0]]), True)
        yield (rng.normal(size=(2, 3)), rng.normal(size=(2, 2))), (1, np.array([[0, 0], [2, 1]]), False)

    def cost(x, v, dim, i, largest):
        return 2 * x.nbytes + i.size * x.itemsize + i.nbytes, i.size
