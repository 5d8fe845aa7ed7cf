from __future__ import annotations

import pytest

from tests.oracle.compare import both, errors, normal, uniform, warned

F3, F4, F5 = normal(2, 3, 7), normal(2, 3, 6, 5), normal(1, 2, 4, 3, 5)


def resize(t, x, **options):
    return t.nn.functional.interpolate(x, **options)


CASES = [
    (F3, {"size": 10}), (F3, {"size": 3, "mode": "nearest-exact"}), (F3, {"scale_factor": 1.7}),
    (F3, {"scale_factor": 1.7, "mode": "nearest-exact"}), (F3, {"size": 12, "mode": "linear"}),
    (F3, {"size": 12, "mode": "linear", "align_corners": True}), (F3, {"scale_factor": 0.6, "mode": "linear"}),
    (F3, {"scale_factor": 0.6, "mode": "linear", "recompute_scale_factor": True}), (F3, {"size": 3, "mode": "area"}),
    (F4, {"size": (9, 4)}), (F4, {"scale_factor": (2, 1.5), "mode": "nearest-exact"}), (F4, {"size": 8,
    "mode": "bilinear"}),
    (F4, {"size": (8, 3), "mode": "bilinear", "align_corners": True}), (F4, {"scale_factor": 2.3, "mode": "bilinear"}),
    (F4, {"size": (9, 11), "mode": "bicubic"}), (F4, {"size": (3, 8), "mode": "bicubic", "align_corners": True}),
    (F4, {"scale_factor": 0.7, "mode": "bicubic"}), (F4, {"size": (4, 7), "mode": "area"}), (F4, {"size": 1,
    "mode": "bilinear", "align_corners": True}),
    (F4, {"size": (3, 2), "mode": "bilinear", "antialias": True}), (F4, {"size": (3, 8), "mode": "bicubic",
    "antialias": True}),
    (F4, {"size": (2, 9), "mode": "bilinear", "antialias": True, "align_corners": True}),
    (F4, {"scale_factor": 0.45, "mode": "bicubic", "antialias": True}),
    (F5, {"size": (2, 6, 7)}), (F5, {"size": (6, 2, 7), "mode": "trilinear"}), (F5, {"scale_factor": 1.5,
    "mode": "trilinear", "align_corners": True}),
    (F5, {"size": (2, 2, 7), "mode": "area"}),
]  # fmt: skip


@pytest.mark.parametrize("kind", ["float64", "float32"])
@pytest.mark.parametrize("i", range(len(CASES)))
def test_interpolate(i, kind):
    x, options = CASES[i]
    both(lambda t, v: resize(t, v, **options), x, kind=kind)


@pytest.mark.parametrize("scale", [1.3, 0.3, 2.9, 0.77, 1.1])
@pytest.mark.parametrize("mode", ["nearest", "nearest-exact", "linear"])
def test_every_index_of_long_rows(scale, mode):
    both(lambda t, v: resize(t, v, scale_factor=scale, mode=mode), normal(1, 1, 501), kind="float32")


def test_upsample_names():
    both(lambda t, v: t.nn.functional.upsample_bilinear(v, scale_factor=2), F4)
    both(lambda t, v: t.nn.functional.upsample_nearest(v, size=(8, 8)), F4)
    both(lambda t, v: t.nn.functional.upsample(v, size=(8, 8), mode="bilinear"), F4)


PADS = {
    "constant": [((1, 2), {}), ((1, 2, 0, 3), {"value": 1.5}), ((-1, 2, 1, -2), {}), ((0, 0, 0, 0, 1, 1, 2, 0), {})],
    "reflect": [((1, 2), {}), ((2, 3), {}), ((0, 4), {})],
    "replicate": [((1, 2), {}), ((6, 9), {}), ((-1, 2), {})],
    "circular": [((1, 2), {}), ((7, 5), {}), ((-1, 2), {})],
}


@pytest.mark.parametrize("mode", PADS)
def test_pad(mode):
    for counts, options in PADS[mode]:
        x = F4 if len(counts) > 2 else F3
        both(lambda t, v, c=counts, o=options: t.nn.functional.pad(v, c, mode=mode, **o), x)
    if mode != "constant":
        both(lambda t, v: t.nn.functional.pad(v, (1, 2, 2, 0), mode), F4)
        both(lambda t, v: t.nn.functional.pad(v, (1, 2, 2, 0), mode), F3)
        both(lambda t, v: t.nn.functional.pad(v, (1, 2, 2, 0, 1, 1), mode), F5)
    both(lambda t, v: t.nn.functional.pad(v.long(), (1, 2), mode), F3 * 10)


@pytest.mark.parametrize("align", [False, True])
@pytest.mark.parametrize("padding", ["zeros", "border", "reflection"])
@pytest.mark.parametrize("mode", ["bilinear", "nearest", "bicubic"])
def test_grid_sample(mode, padding, align):
    grid = uniform(2, 4, 3, 2, low=-1.6, high=1.6)
    both(lambda t, x, g: t.nn.functional.grid_sample(x, g, mode, padding, align), F4, grid)
    if mode != "bicubic":
        deep = uniform(1, 4, 3, 2, 3, low=-1.6, high=1.6)
        both(lambda t, x, g: t.nn.functional.grid_sample(x, g, mode, padding, align), F5, deep)


@pytest.mark.parametrize("align", [False, True])
def test_affine_grid(align):
    both(lambda t, a: t.nn.functional.affine_grid(a, (2, 3, 4, 5), align), normal(2, 2, 3))
    both(lambda t, a: t.nn.functional.affine_grid(a, (2, 3, 4, 5, 1), align), normal(2, 3, 4))


def test_shuffles():
    both(lambda t, x: t.nn.functional.pixel_shuffle(x, 2), normal(2, 12, 3, 4))
    both(lambda t, x: t.nn.functional.pixel_shuffle(x, 3), normal(9, 2, 2))
    both(lambda t, x: t.nn.functional.pixel_unshuffle(x, 2), normal(2, 3, 4, 6))
    both(lambda t, x: t.nn.functional.channel_shuffle(x, 3), normal(2, 6, 3, 4))


def test_distances():
    both(lambda t, x, y: t.nn.functional.cosine_similarity(x, y), normal(3, 4, 5), normal(3, 4, 5, seed=1))
    both(lambda t, x, y: t.nn.functional.cosine_similarity(x, y, -1, 1e-3), normal(3, 4), normal(4))
    for p in (1.0, 2.0, 3.5):
        both(
            lambda t, x, y, p=p: t.nn.functional.pairwise_distance(x, y, p, keepdim=True),
            normal(3, 4),
            normal(3, 4, seed=1),
        )
        both(lambda t, x, p=p: t.nn.functional.pdist(x, p), normal(5, 3))
    both(lambda t, x: t.nn.functional.pdist(x, float("inf")), normal(5, 3))
    for p in (1.0, 2.0, 3.0):
        both(lambda t, x, y, p=p: t.cdist(x, y, p), normal(2, 3, 4), normal(2, 5, 4))
    both(lambda t, x, y: t.cdist(x, y), normal(3, 4), normal(2, 5, 4))
    both(lambda t, x, y: t.cdist(x, y), normal(2, 30, 4), normal(27, 4))  # from 26 rows on by a product
    for mode in ("use_mm_for_euclid_dist", "donot_use_mm_for_euclid_dist"):
        both(lambda t, x, y, mode=mode: t.cdist(x, y, compute_mode=mode), normal(40, 5), normal(3, 5))
    x = normal(30, 4).round()  # equal rows: distance and gradient 0
    both(lambda t, x, y: t.cdist(x, y), x, x[::-1].copy())
    both(lambda t, x, y: t.cdist(x, y, 1.0), normal(30, 100), normal(200, 100))  # in parts


ERRORS = {
    "both": lambda t: resize(t, t.zeros(1, 1, 4), size=2, scale_factor=2),
    "none": lambda t: resize(t, t.zeros(1, 1, 4)),
    "mode dims": lambda t: resize(t, t.zeros(1, 1, 4), size=2, mode="bilinear"),
    "mode name": lambda t: resize(t, t.zeros(1, 1, 4), size=2, mode="x"),
    "align": lambda t: resize(t, t.zeros(1, 1, 4), size=2, align_corners=True),
    "sizes": lambda t: resize(t, t.zeros(1, 1, 4), size=(2, 3)),
    "zero": lambda t: resize(t, t.zeros(1, 1, 4), size=0),
    "antialias": lambda t: resize(t, t.zeros(1, 1, 4, 4), size=2, antialias=True),
    "recompute": lambda t: resize(t, t.zeros(1, 1, 4), size=2, recompute_scale_factor=True),
    "pad odd": lambda t: t.nn.functional.pad(t.zeros(3), (1,)),
    "pad many": lambda t: t.nn.functional.pad(t.zeros(3), (1, 1, 1, 1)),
    "pad negative": lambda t: t.nn.functional.pad(t.zeros(3), (-2, -2)),
    "pad reflect": lambda t: t.nn.functional.pad(t.zeros(1, 3), (3, 0), "reflect"),
    "pad circular": lambda t: t.nn.functional.pad(t.zeros(1, 3), (4, 0), "circular"),
    "pad mode": lambda t: t.nn.functional.pad(t.zeros(1, 3), (1, 0), "x"),
    "pad dims": lambda t: t.nn.functional.pad(t.zeros(3), (1, 0), "reflect"),
    "grid mode": lambda t: t.nn.functional.grid_sample(t.zeros(1, 1, 2, 2), t.zeros(1, 2, 2, 2), "x"),
    "grid padding": lambda t: t.nn.functional.grid_sample(t.zeros(1, 1, 2, 2), t.zeros(1, 2, 2, 2), "nearest", "x"),
    "grid size": lambda t: t.nn.functional.grid_sample(t.zeros(1, 1, 2, 2), t.zeros(1, 2, 2, 3)),
    "grid bicubic": lambda t: t.nn.functional.grid_sample(t.zeros(1, 1, 2, 2, 2), t.zeros(1, 2, 2, 2, 3), "bicubic"),
    "affine": lambda t: t.nn.functional.affine_grid(t.zeros(1, 2, 2), (1, 1, 2, 2)),
    "shuffle": lambda t: t.nn.functional.pixel_shuffle(t.zeros(1, 3, 2, 2), 2),
    "unshuffle": lambda t: t.nn.functional.pixel_unshuffle(t.zeros(1, 3, 3, 2), 2),
    "channels": lambda t: t.nn.functional.channel_shuffle(t.zeros(1, 3, 3, 2), 2),
    "cdist": lambda t: t.cdist(t.zeros(2, 3), t.zeros(2, 4)),
    "pdist": lambda t: t.nn.functional.pdist(t.zeros(3)),
}


@pytest.mark.parametrize("name", ERRORS)
def test_error_types(name):
    errors(ERRORS[name])


def test_default_alignment_warns():
    ours, theirs = warned(lambda t: t.nn.functional.grid_sample(t.zeros(1, 1, 2, 2), t.zeros(1, 2, 2, 2)))
    assert ours == theirs and len(ours) == 1
