"""The line search of L-BFGS: a step length that satisfies the strong Wolfe conditions.

Source: Nocedal and Wright, "Numerical Optimization", 2nd edition, algorithms 3.5 and 3.6; cubic interpolation as in
Schmidt's minFunc.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple


class Point(NamedTuple):
    """A step length with the loss, gradient and slope that belong to it."""

    t: float
    loss: float
    g: Any
    slope: float


def cubic_minimum(a: Point, b: Point, bounds: tuple[float, float] | None = None) -> float:
    """Where the cubic through two points with their slopes is least, within `bounds` (default: between the points).

    >>> at = lambda t: Point(t, (t - 1) ** 2, None, 2 * (t - 1))
    >>> cubic_minimum(at(0.0), at(3.0))
    1.0
    """
    low, high = bounds if bounds is not None else sorted((a.t, b.t))
    if a.t > b.t:
        a, b = b, a
    if a.t == b.t:
        return (low + high) / 2.0
    d1 = a.slope + b.slope - 3 * (a.loss - b.loss) / (a.t - b.t)
    square = d1 * d1 - a.slope * b.slope
    if not square >= 0:
        return (low + high) / 2.0
    d2 = square**0.5
    denominator = b.slope - a.slope + 2 * d2
    if denominator == 0:
        return (low + high) / 2.0
    return min(max(b.t - (b.t - a.t) * ((b.slope + d2 - d1) / denominator), low), high)


def strong_wolfe(
    at: Callable[[float, Any], tuple[float, Any]],
    t: float,
    d: Any,
    loss: float,
    g: Any,
    slope: float,
    c1: float = 1e-4,
    c2: float = 0.9,
    tolerance_change: float = 1e-9,
    max_evaluations: int = 25,
) -> tuple[float, Any, float, int]:
    """A step length t with loss(t) <= loss + c1 t slope and |slope(t)| <= c2 |slope|.

    Args:
        at: (t, d) -> loss and gradient there.
        t: first guess.
        d: direction.
        loss, g, slope: at t = 0.

    Returns:
        loss, gradient and t of the best point, and the number of evaluations.
    """
    start = Point(0.0, loss, g, slope)
    size = float(d.abs().max())
    evaluations = 0

    def point(t: float) -> Point:
        nonlocal evaluations
        evaluations += 1
        loss, g = at(t, d)
        return Point(t, loss, g.clone(), float(g.dot(d)))

    def too_high(x: Point) -> bool:
        return not x.loss <= start.loss + c1 * x.t * start.slope

    def flat_enough(x: Point) -> bool:
        return abs(x.slope) <= -c2 * start.slope

    # walk outwards until a minimum lies between two points
    before, now = start, point(t)
    bracket: list[Point] | None = None
    done = False
    count = 0
    while count < max_evaluations:
        if too_high(now) or (count > 1 and now.loss >= before.loss):
            bracket = [before, now]
            break
        if flat_enough(now):
            bracket, done = [now], True
            break
        if now.slope >= 0:
            bracket = [before, now]
            break
        bounds = (now.t + 0.01 * (now.t - before.t), now.t * 10)
        t = cubic_minimum(before, now, bounds)
        before, now = now, point(t)
        count += 1
    if bracket is None:
        bracket = [start, now]

    # narrow the bracket
    stalled = False
    low = 0 if bracket[0].loss <= bracket[-1].loss else 1
    while not done and count < max_evaluations:
        count += 1
        a, b = bracket
        if abs(b.t - a.t) * size < tolerance_change:
            break
        t = cubic_minimum(a, b)
        largest, smallest = max(a.t, b.t), min(a.t, b.t)
        margin = 0.1 * (largest - smallest)
        if min(largest - t, t - smallest) < margin:
            # near an end: the first time it is let pass, then t moves inwards
            if stalled or t >= largest or t <= smallest:
                t = largest - margin if abs(t - largest) < abs(t - smallest) else smallest + margin
                stalled = False
            else:
                stalled = True
        else:
            stalled = False
        now = point(t)
        if too_high(now) or now.loss >= bracket[low].loss:
            bracket[1 - low] = now
            low = 0 if bracket[0].loss <= bracket[1].loss else 1
        else:
            if flat_enough(now):
                done = True
            elif now.slope * (bracket[1 - low].t - bracket[low].t) >= 0:
                bracket[1 - low] = bracket[low]
            bracket[low] = now
    best = bracket[low] if len(bracket) > 1 else bracket[0]
    return best.loss, best.g, best.t, evaluations
