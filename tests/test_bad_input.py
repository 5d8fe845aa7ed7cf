# ruff: noqa: E501 - a table of one line per case
"""A table of bad calls: what type of error they raise, and what its text names (op, argument, what came, what was expected).

Nothing may be changed by a call that raises. Where torch is installed, the types are compared with torch's.
"""

from __future__ import annotations

import re

import pytest

import tritorch
from tritorch.tensor import host

R, I, T, V = RuntimeError, IndexError, TypeError, ValueError  # noqa: E741


def ctc(t, input_lengths=None, targets=None, blank=0):
    """`ctc_loss` of 2 samples, 5 steps and 4 classes, but for one argument."""
    lengths = t.tensor([5, 5]) if input_lengths is None else input_lengths
    labels = t.ones(2, 2, dtype=t.int64) if targets is None else targets
    return t.nn.functional.ctc_loss(t.zeros(5, 2, 4).log_softmax(2), labels, lengths, t.tensor([2, 2]), blank)


# name: (call, type of error, pattern of the text)
CASES = {
    "add shapes": (lambda t, x: x + t.ones(5), R, r"add: .*shape \(2, 3\).*shape \(5,\)"),
    "mul shapes": (lambda t, x: t.mul(x, t.ones(4, 1)), R, r"mul: .*\(2, 3\).*\(4, 1\)"),
    "add a string": (lambda t, x: t.add(x, "a"), T, r"add.*other"),
    "sub of bools": (lambda t, x: t.ones(2, dtype=t.bool) - t.ones(2, dtype=t.bool), R, r"sub.*bool"),
    "neg of bools": (lambda t, x: -t.ones(2, dtype=t.bool), R, r"neg.*bool"),
    "in-place to a lower category": (lambda t, x: t.ones(2, dtype=t.int64).add_(1.5), R, r"add_.*Float can't be cast.*Long"),
    "in-place broadcast of self": (lambda t, x: t.ones(3).add_(x), R, r"add_.*output with shape \[3\].*\[2, 3\]"),
    "negative integer power": (lambda t, x: t.arange(3) ** -1, R, r"pow.*negative integer powers"),
    "clamp without bounds": (lambda t, x: x.clamp(), R, r"clamp.*min.*max"),
    "where needs a bool": (lambda t, x: t.where(x, x, x), R, r"where.*boolean"),
    "bitwise of floats": (lambda t, x: x & x, R, r"bitwise_and"),
    "invert a float": (lambda t, x: ~x, T, r"invert"),
    "integer division by zero": (lambda t, x: t.arange(3) // 0, R, r"ZeroDivision"),
    "matmul shapes": (lambda t, x: x @ x, R, r"matmul.*\(2x3 and 2x3\)"),
    "matmul dtypes": (lambda t, x: x @ t.ones(3, 2, dtype=t.float64), R, r"matmul.*float32.*float64|same dtype"),
    "matmul of a scalar": (lambda t, x: x @ t.tensor(1.0), R, r"matmul.*at least 1D"),
    "mm of 3 dims": (lambda t, x: t.mm(x, t.ones(3, 2, 1)), R, r"mm.*"),
    "bmm batch": (lambda t, x: t.bmm(t.ones(2, 3, 4), t.ones(3, 4, 5)), R, r"bmm"),
    "dot of matrices": (lambda t, x: t.dot(x, x), R, r"dot.*1D"),
    "einsum sizes": (lambda t, x: t.einsum("ij,jk->ik", x, x), R, r"einsum"),
    "sum dim": (lambda t, x: x.sum(2), I, r"sum.*\[-2, 1\].*2"),
    "sum dim twice": (lambda t, x: x.sum((0, -2)), R, r"sum.*multiple times"),
    "mean of integers": (lambda t, x: t.arange(3).mean(), R, r"mean.*int64"),
    "max of nothing": (lambda t, x: t.ones(0).max(), R, r"max"),
    "argmax of nothing": (lambda t, x: t.ones(0).argmax(), I, r"argmax"),
    "softmax dim": (lambda t, x: x.softmax(5), I, r"softmax.*\[-2, 1\].*5"),
    "cumsum dim": (lambda t, x: x.cumsum(-3), I, r"cumsum.*-3"),
    "topk k": (lambda t, x: x.topk(9), R, r"topk.*9|selected index k"),
    "view size": (lambda t, x: x.view(4), R, r"view: shape '\[4\]' is invalid for input of size 6"),
    "view of transposed": (lambda t, x: x.t().view(6), R, r"view.*reshape"),
    "reshape size": (lambda t, x: x.reshape(4, 2), R, r"reshape: shape '\[4, 2\]' is invalid for input of size 6"),
    "reshape two -1": (lambda t, x: x.reshape(-1, -1), R, r"reshape.*only one dimension can be inferred"),
    "permute count": (lambda t, x: x.permute(0), R, r"permute.*2.*1"),
    "permute twice": (lambda t, x: x.permute(0, 0), R, r"permute.*duplicate"),
    "transpose dim": (lambda t, x: x.transpose(0, 2), I, r"transpose.*dim1.*\[-2, 1\].*2"),
    "t of 3 dims": (lambda t, x: t.ones(2, 2, 2).t(), R, r"t\(\).*3D"),
    "unsqueeze dim": (lambda t, x: x.unsqueeze(4), I, r"unsqueeze.*\[-3, 2\].*4"),
    "squeeze dim": (lambda t, x: x.squeeze(3), I, r"squeeze.*3"),
    "expand size": (lambda t, x: x.expand(2, 4), R, r"expand.*\(4\).*\(3\)"),
    "expand fewer dims": (lambda t, x: x.expand(3), R, r"expand.*number of sizes"),
    "flatten order": (lambda t, x: x.flatten(1, 0), R, r"flatten.*start_dim cannot come after end_dim"),
    "cat dims": (lambda t, x: t.cat([x, t.ones(3)]), R, r"cat.*same number of dimensions.*2.*1"),
    "cat sizes": (lambda t, x: t.cat([x, t.ones(2, 4)]), R, r"cat: Sizes of tensors must match except in dimension 0.*\(2, 3\).*\(2, 4\)"),
    "cat of nothing": (lambda t, x: t.cat([]), V, r"cat.*non-empty"),
    "cat of a number": (lambda t, x: t.cat([x, 1]), T, r"cat.*element 1.*int"),
    "stack sizes": (lambda t, x: t.stack([x, x.t()]), R, r"stack.*\[2, 3\].*\[3, 2\]"),
    "split sizes": (lambda t, x: x.split([1, 1], 1), R, r"split_with_sizes.*3.*\[1, 1\]"),
    "chunk count": (lambda t, x: x.chunk(0), R, r"chunk.*0"),
    "narrow range": (lambda t, x: x.narrow(1, 2, 5), R, r"narrow.*\(2\).*\(5\).*\(3\)"),
    "select range": (lambda t, x: x.select(0, 7), I, r"select.*7.*\[2, 3\]"),
    "diagonal dims": (lambda t, x: x.diagonal(0, 1, 1), R, r"diagonal.*identical 1, 1"),
    "unfold size": (lambda t, x: x.unfold(1, 9, 1), R, r"unfold.*3.*9"),
    "repeat fewer": (lambda t, x: x.repeat(2), R, r"repeat.*number of dimensions"),
    "roll dims": (lambda t, x: x.roll((1, 2), (0,)), R, r"roll.*align"),
    "tril of a vector": (lambda t, x: t.ones(3).tril(), R, r"tril.*at least 2 dimensions.*\(3,\)"),
    "index out of range": (lambda t, x: x[5], I, r"index 5 is out of bounds for dimension 0 with size 2"),
    "too many indices": (lambda t, x: x[0, 0, 0], I, r"too many indices.*dimension 2"),
    "float index": (lambda t, x: x[t.tensor([0.5])], I, r"indices must be"),
    "mask shape": (lambda t, x: x[t.ones(3, dtype=t.bool)], I, r"mask \[3\].*\[2, 3\]"),
    "negative step": (lambda t, x: x[::-1], V, r"step must be greater than zero"),
    "assign shape": (lambda t, x: x.__setitem__(0, t.ones(4)), R, r"__setitem__.*\[4\].*\[3\]"),
    "gather range": (lambda t, x: x.gather(1, t.tensor([[9]])), R, r"gather: index 9 is out of bounds for dimension 1 with size 3"),
    "gather dtype": (lambda t, x: x.gather(1, t.ones(1, 1)), R, r"gather.*int64.*float32"),
    "scatter dtype": (lambda t, x: x.scatter(1, t.tensor([[0]]), t.ones(1, 1, dtype=t.float64)), R, r"scatter.*float32.*float64"),
    "index_select vector": (lambda t, x: x.index_select(0, t.tensor([[0]])), I, r"index_select.*vector"),
    "index_select range": (lambda t, x: x.index_select(0, t.tensor([4])), (I, R), r"index_select.*4.*size 2"),
    "index_add shape": (lambda t, x: x.index_add(0, t.tensor([0]), t.ones(2, 3)), (R, I), r"index_add.*\(1, 3\).*\(2, 3\)"),
    "masked_fill mask": (lambda t, x: x.masked_fill(x, 1.0), R, r"masked_fill.*boolean"),
    "take range": (lambda t, x: x.take(t.tensor([6])), I, r"take.*6.*size 6"),
    "item of many": (lambda t, x: x.item(), R, r"6 elements"),
    "bool of many": (lambda t, x: bool(x), R, r"ambiguous"),
    "len of a scalar": (lambda t, x: len(t.tensor(1.0)), T, r"0-d tensor"),
    "iterate a scalar": (lambda t, x: list(t.tensor(1.0)), T, r"0-d tensor"),
    "float as index": (lambda t, x: [1, 2][t.tensor(1.0)], T, r"integer tensors"),
    "numpy of grad": (lambda t, x: x.clone().requires_grad_().numpy(), R, r"detach\(\)"),
    "grad of integers": (lambda t, x: t.arange(3).requires_grad_(), R, r"floating point.*complex"),
    "grad shape": (lambda t, x: setattr(x, "grad", t.ones(2)), R, r"grad"),
    "unset requires_grad of computed": (lambda t, x: setattr(x.clone().requires_grad_() * 1, "requires_grad", False), R, r"leaf variables"),
    "unknown device": (lambda t, x: x.to("tpu"), R, r"tpu"),
    "device index": (lambda t, x: t.device("cuda:x"), R, r"cuda:x"),
    "linear shapes": (lambda t, x: t.nn.functional.linear(x, t.ones(4, 5)), R, r"linear.*(\(2, 3\)|2x3).*(\(4, 5\)|5x4)"),
    "conv2d channels": (lambda t, x: t.nn.functional.conv2d(t.ones(1, 3, 8, 8), t.ones(4, 2, 3, 3)), R, r"conv2d.*3"),
    "conv2d kernel": (lambda t, x: t.nn.functional.conv2d(t.ones(1, 3, 2, 2), t.ones(4, 3, 5, 5)), R, r"conv2d.*5"),
    "max_pool2d kernel": (lambda t, x: t.nn.functional.max_pool2d(t.ones(1, 1, 2, 2), 3), R, r"max_pool2d"),
    "batch_norm one value": (lambda t, x: t.nn.functional.batch_norm(t.ones(1, 3), None, None, training=True), V, r"more than 1 value per channel"),
    "layer_norm shape": (lambda t, x: t.nn.functional.layer_norm(x, (4,)), R, r"layer_norm.*4"),
    "embedding range": (lambda t, x: t.nn.functional.embedding(t.tensor([7]), x), I, r"embedding.*7|out of range"),
    "embedding dtype": (lambda t, x: t.nn.functional.embedding(t.tensor([0.0]), x), R, r"embedding.*Long, Int.*float32"),
    "dropout p": (lambda t, x: t.nn.functional.dropout(x, 1.5), V, r"dropout.*1\.5"),
    "cross_entropy target": (lambda t, x: t.nn.functional.cross_entropy(x, t.tensor([0, 5])), I, r"cross_entropy.*5|Target 5"),
    "cross_entropy batch": (lambda t, x: t.nn.functional.cross_entropy(x, t.tensor([0, 1, 2])), V, r"cross_entropy.*2.*3|batch_size"),
    "mse_loss shapes": (lambda t, x: t.nn.functional.mse_loss(x, t.ones(7)), R, r"mse_loss.*\(2, 3\).*\(7,\)"),
    "bce range": (lambda t, x: t.nn.functional.binary_cross_entropy(x * 5, x * 0), R, r"between 0 and 1"),
    "bce shapes": (lambda t, x: t.nn.functional.binary_cross_entropy(x * 0, t.ones(6)), V, r"binary_cross_entropy.*\(2, 3\).*\(6,\)|target size"),
    "reduction": (lambda t, x: t.nn.functional.l1_loss(x, x, reduction="all"), V, r"all"),
    "one_hot range": (lambda t, x: t.nn.functional.one_hot(t.tensor([3]), 2), R, r"one_hot|smaller than num_classes"),
    "arange bounds": (lambda t, x: t.arange(5, 0), R, r"arange|upper bound"),
    "tensor of ragged lists": (lambda t, x: t.tensor([[1, 2], [3]]), V, r"length|expected sequence"),
    "tensor of strings": (lambda t, x: t.tensor(["a"]), (T, V), r"str"),
    "zeros negative": (lambda t, x: t.zeros(-1), R, r"negative dimension|-1"),
    "multinomial": (lambda t, x: t.multinomial(t.tensor([-1.0, 2.0]), 1), R, r"multinomial|probability"),
    "normal std": (lambda t, x: x.normal_(0, -1), R, r"normal.*std"),
    "uniform bounds": (lambda t, x: x.uniform_(2, 1), R, r"uniform_"),
    "randint bounds": (lambda t, x: t.randint(3, 3, (2,)), R, r"randint|random_"),
    "set_default_dtype": (lambda t, x: t.set_default_dtype(t.int64), T, r"float"),
    "finfo of integers": (lambda t, x: t.finfo(t.int32), T, r"float"),
    "iinfo of floats": (lambda t, x: t.iinfo(t.float32), T, r"int"),
    "clamp by a string": (lambda t, x: x.clamp("a"), T, r"clamp"),
    "clamp_ by a string": (lambda t, x: x.clamp_("a"), T, r"clamp"),
    "pow by a string": (lambda t, x: t.pow(x, "a"), T, r"pow.*exponent|pow"),
    "nan_to_num": (lambda t, x: t.nan_to_num(x, nan="a"), T, r"nan_to_num.*nan.*'a'"),
    "round decimals": (lambda t, x: t.round(x, decimals="a"), T, r"round.*decimals.*'a'"),
    "addcdiv of a string": (lambda t, x: t.addcdiv(x, "a", x), T, r"addcdiv.*tensor1.*'a'"),
    "leaky_relu slope": (lambda t, x: t.nn.functional.leaky_relu(x, "a"), T, r"leaky_relu.*negative_slope.*'a'"),
    "hardshrink lambd": (lambda t, x: t.nn.functional.hardshrink(x, "a"), T, r"hardshrink.*lambd.*'a'"),
    "softplus beta": (lambda t, x: t.nn.functional.softplus(x, "a"), T, r"softplus.*beta.*'a'"),
    "threshold": (lambda t, x: t.nn.functional.threshold(x, "a", 1.0), T, r"threshold.*'a'"),
    "hsplit parts": (lambda t, x: t.hsplit(x, 2), R, r"hsplit.*dim 1.*2 parts.*\(2, 3\)"),
    "dsplit dims": (lambda t, x: t.dsplit(x, 2), R, r"dsplit.*3 dims.*\(2, 3\)"),
    "rot90 dims": (lambda t, x: t.rot90(x, 1, (0,)), R, r"rot90.*dims.*\(0,\)"),
    "block_diag dims": (lambda t, x: t.block_diag(t.ones(2, 2, 2)), R, r"block_diag.*\(2, 2, 2\)"),
    "kron of a number": (lambda t, x: t.kron(x, 3), T, r"kron.*other.*3"),
    "diff prepend": (lambda t, x: t.diff(x, prepend=t.ones(1)), R, r"diff.*prepend.*\(2, 3\).*\(1,\)"),
    "polar of integers": (lambda t, x: t.polar(t.arange(3), t.arange(3)), R, r"polar.*floating.*int64"),
    "vecdot shapes": (lambda t, x: t.linalg.vecdot(t.ones(2), t.ones(3)), R, r"linalg\.vecdot.*\(2,\).*\(3,\)"),
    "cross shapes": (lambda t, x: t.linalg.cross(t.ones(3, 3), t.ones(2, 3)), R, r"cross.*\(3, 3\).*\(2, 3\)"),
    "hfft length": (lambda t, x: t.fft.hfft(x, n=-1), R, r"fft\.hfft.*n: -1"),
    "searchsorted sides": (lambda t, x: t.searchsorted(t.ones(3), t.ones(3), right=True, side="left"), R, r"searchsorted.*side: 'left', right: True"),
    "searchsorted in a scalar": (lambda t, x: t.searchsorted(t.tensor(1.0), t.ones(2)), R, r"searchsorted.*sorted_sequence.*shape \(\)"),
    "searchsorted sorter": (lambda t, x: t.searchsorted(t.ones(3), t.ones(3), sorter=t.tensor([0, 1])), R, r"searchsorted.*sorter.*\(2,\).*\(3,\)"),
    "searchsorted sorter dtype": (lambda t, x: t.searchsorted(t.ones(3), t.ones(3), sorter=t.ones(3)), R, r"searchsorted.*sorter.*int64.*float32"),
    "searchsorted sorter range": (lambda t, x: t.searchsorted(t.ones(3), t.ones(3), sorter=t.tensor([0, 1, 7])), R, r"searchsorted.*7.*size 3"),
    "searchsorted of a string": (lambda t, x: t.searchsorted(t.ones(3), "a"), T, r"searchsorted.*'a'|searchsorted"),
    "bucketize boundaries": (lambda t, x: t.bucketize(x, x), R, r"bucketize.*boundaries.*\(2, 3\)|boundaries"),
    "index_reduce name": (lambda t, x: x.index_reduce(0, t.tensor([0]), t.ones(1, 3), "sum"), R, r"index_reduce.*'sum'"),
    "index_reduce range": (lambda t, x: x.index_reduce(0, t.tensor([5]), t.ones(1, 3), "prod"), I, r"index_reduce.*5.*size 2"),
    "index_reduce dtype": (lambda t, x: x.index_reduce(0, t.tensor([0]), t.ones(1, 3, dtype=t.float64), "amax"), R, r"index_reduce.*float32.*float64"),
    "index_copy count": (lambda t, x: x.index_copy(0, t.tensor([0, 1]), t.ones(1, 3)), I, r"index_copy.*\(2, 3\).*\(1, 3\)"),
    "put count": (lambda t, x: x.put(t.tensor([0]), t.ones(2)), I, r"put.*\(1,\).*\(2,\)"),
    "scatter_reduce name": (lambda t, x: x.scatter_reduce(0, t.tensor([[0]]), t.ones(1, 1), "add"), R, r"scatter_reduce.*'add'"),
    "scatter_reduce number": (lambda t, x: x.scatter_reduce(0, t.tensor([[0]]), 1.0, "sum"), T, r"scatter_reduce.*src.*1\.0"),
    "pad by floats": (lambda t, x: t.nn.functional.pad(x, (1.5, 0)), T, r"pad.*ints.*1\.5"),
    "pad by a number": (lambda t, x: t.nn.functional.pad(x, 1), T, r"pad.*sequence"),
    "pad value": (lambda t, x: t.nn.functional.pad(x, (1, 0), value="a"), T, r"pad.*value.*'a'"),
    "reflected pad with a value": (lambda t, x: t.nn.functional.pad(t.ones(1, 2, 4, 4), (1, 1), "reflect", 1.0), R, r"pad"),
    "avg_pool2d divisor": (lambda t, x: t.nn.functional.avg_pool2d(t.ones(1, 2, 4, 4), 2, divisor_override="a"), T, r"avg_pool2d.*divisor_override.*'a'"),
    "fractional_max_pool2d without size": (lambda t, x: t.nn.functional.fractional_max_pool2d(t.ones(1, 2, 4, 4), 2), V, r"fractional_max_pool2d.*output_size"),
    "fractional_max_pool2d samples": (lambda t, x: t.nn.functional.fractional_max_pool2d(t.ones(1, 2, 4, 4), 2, output_size=2, _random_samples=t.ones(1, 3, 2)), R, r"fractional_max_pool2d.*\(1, 2, 2\).*\(1, 3, 2\)"),
    "interpolate size": (lambda t, x: t.nn.functional.interpolate(t.ones(1, 2, 4, 4), size=2.5), T, r"interpolate.*size.*2\.5"),
    "grid_sample batch": (lambda t, x: t.nn.functional.grid_sample(t.ones(1, 2, 4, 4), t.zeros(2, 4, 4, 2), align_corners=False), R, r"grid_sample.*\(1, 2, 4, 4\).*\(2, 4, 4, 2\)"),
    "grid_sample mode": (lambda t, x: t.nn.functional.grid_sample(t.ones(1, 2, 4, 4), t.zeros(1, 4, 4, 2), mode="cubic"), V, r"grid_sample.*mode.*'cubic'"),
    "fold blocks": (lambda t, x: t.nn.functional.fold(t.ones(1, 8, 3), (4, 4), 2), R, r"fold.*9 windows.*\(1, 8, 3\)"),
    "ctc_loss lengths": (lambda t, x: ctc(t, input_lengths=t.tensor([6, 5])), R, r"ctc_loss.*input_lengths.*5.*\[6, 5\]"),
    "ctc_loss float lengths": (lambda t, x: ctc(t, input_lengths=t.tensor([5.0, 5.0])), R, r"ctc_loss.*input_lengths.*integral.*float32"),
    "ctc_loss targets": (lambda t, x: ctc(t, targets=t.ones(3, 2, dtype=t.int64)), R, r"ctc_loss.*N = 2.*\(3, 2\)"),
    "ctc_loss blank": (lambda t, x: ctc(t, blank=9), R, r"ctc_loss.*\[0, 3\].*9"),
    "embedding_bag range": (lambda t, x: t.nn.functional.embedding_bag(t.tensor([[0, 7]]), x), R, r"embedding_bag.*2 rows.*7"),
    "embedding_bag offsets": (lambda t, x: t.nn.functional.embedding_bag(t.tensor([0, 1]), x, t.tensor([1])), R, r"embedding_bag.*offsets\[0\].*1"),
    "embedding_bag padding": (lambda t, x: t.nn.functional.embedding_bag(t.tensor([[0, 1]]), x, padding_idx=7), R, r"embedding_bag.*padding_idx.*7"),
    "cosine_similarity shapes": (lambda t, x: t.nn.functional.cosine_similarity(t.ones(2), t.ones(3), 0), R, r"cosine_similarity.*\(2,\).*\(3,\)"),
    "multi_margin_loss range": (lambda t, x: t.nn.functional.multi_margin_loss(x, t.tensor([0, 9])), R, r"multi_margin_loss.*\[0, 2\].*9"),
    "cosine_embedding_loss target": (lambda t, x: t.nn.functional.cosine_embedding_loss(x, x, t.ones(3)), R, r"cosine_embedding_loss.*\(3,\)"),
    "gaussian_nll_loss var": (lambda t, x: t.nn.functional.gaussian_nll_loss(x, x, -x - 1), V, r"gaussian_nll_loss.*var.*-6"),
    "solve shapes": (lambda t, x: t.linalg.solve(t.eye(3), t.ones(2, 2)), R, r"linalg\.solve.*\(3, 3\).*\(2, 2\)"),
    "cholesky of a negative matrix": (lambda t, x: t.linalg.cholesky(-t.eye(2)), R, r"linalg\.cholesky.*positive-definite"),
    "inverse of a rectangle": (lambda t, x: t.linalg.inv(x), R, r"linalg\.inv.*square.*\(2, 3\)"),
    "Normal shapes": (lambda t, x: t.distributions.Normal(t.zeros(2), t.ones(3)), R, r"Normal.*loc: shape \(2,\).*scale: shape \(3,\)"),
    "Normal of a string": (lambda t, x: t.distributions.Normal("a", 1.0), V, r"Normal.*'a'"),
    "Normal sample_shape": (lambda t, x: t.distributions.Normal(0.0, 1.0).sample(3), T, r"Normal.*sample_shape.*3"),
    "Categorical sample_shape": (lambda t, x: t.distributions.Categorical(t.ones(2)).sample("a"), T, r"Categorical.*sample_shape.*'a'"),
    "Normal negative sample_shape": (lambda t, x: t.distributions.Normal(0.0, 1.0).sample((-1,)), R, r"Normal.*\(-1,\)"),
    "HalfCauchy scale": (lambda t, x: t.distributions.HalfCauchy(-1.0), V, r"scale.*HalfCauchy.*GreaterThan.*-1"),
    "Multinomial count": (lambda t, x: t.distributions.Multinomial(-2, t.ones(2)), V, r"Multinomial.*total_count.*-2"),
    "MultivariateNormal batch": (lambda t, x: t.distributions.MultivariateNormal(t.zeros(3, 2), t.eye(2).expand(2, 2, 2)), R, r"MultivariateNormal.*\(3, 2\).*\(2, 2, 2\)"),
    "LKJCholesky dim": (lambda t, x: t.distributions.LKJCholesky(2.5), T, r"LKJCholesky.*dim.*2\.5"),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
@pytest.mark.filterwarnings("ignore:Using a target size")
def test_error_names_what_came_and_nothing_changes(name: str) -> None:
    call, kind, pattern = CASES[name]
    x = tritorch.arange(6.0).reshape(2, 3)
    with pytest.raises(kind) as error:
        call(tritorch, x)
    assert re.search(pattern, str(error.value), re.S), f"{name}: {error.value}"
    assert host(x).tolist() == [[0.0, 1.0, 2.0], [3.0, 4.0, 5.0]] and x.shape == (2, 3) and x._version == 0


@pytest.mark.parametrize("name", CASES)
@pytest.mark.filterwarnings("ignore:Using a target size")
def test_the_type_is_torchs(name: str) -> None:
    torch = pytest.importorskip("torch", reason="torch is the oracle; install the oracle extra")
    call, kind, _ = CASES[name]
    with pytest.raises((R, I, T, V, NotImplementedError)) as error:
        call(torch, torch.arange(6.0).reshape(2, 3))
    kinds = kind if isinstance(kind, tuple) else (kind,)
    assert issubclass(error.type, kinds) or any(issubclass(k, error.type) for k in kinds), (
        f"{name}: torch raises {error.type}: {error.value}"
    )


@pytest.mark.parametrize(
    "call",
    [
        lambda a, b: a + b,
        lambda a, b: a @ b,
        lambda a, b: tritorch.cat([a, b]),
        lambda a, b: tritorch.where(a > 0, a, b),
    ],
)
def test_mixed_devices_are_both_named(call) -> None:
    a, b = tritorch.ones(2, 2), tritorch.ones(2, 2, device="cuda")
    with pytest.raises(RuntimeError, match=r"cpu.*cuda:0|cuda:0.*cpu|on cpu"):
        call(a, b)
    with pytest.raises(RuntimeError, match=r"cpu|cuda:0"):
        call(b, a)


@pytest.mark.parametrize("name", ["bitwise_and", "bitwise_left_shift", "bitwise_not", "gcd", "lcm"])
def test_ops_of_whole_numbers_refuse_floats(name: str, device: str) -> None:
    x = tritorch.ones(3, device=device)
    with pytest.raises(NotImplementedError, match=rf"{name}.*float32.*integer"):
        getattr(tritorch, name)(*([x] if name == "bitwise_not" else [x, x]))
    with pytest.raises(NotImplementedError, match=r"bitwise_and.*float32"):
        x &= x
    assert x.tolist() == [1.0, 1.0, 1.0] and x._version == 0


def test_complex_tensors_on_cuda_are_refused_by_name() -> None:
    x = tritorch.ones(2, dtype=tritorch.complex64, device="cuda")
    for call in (lambda: x + x, lambda: x.exp(), lambda: x.lerp(x, 0.5)):
        with pytest.raises(NotImplementedError, match=r"(add|exp|lerp): .*complex.*shape \(2,\), complex64, cuda:0"):
            call()


def test_an_op_without_a_kernel_says_so() -> None:
    from tritorch.kernels._op import Array, Op

    def definition(x: Array) -> Array:
        return x

    bare = Op("bare", definition)  # not registered: every op of the registry has a kernel
    assert bare(tritorch.ones(3)).tolist() == [1.0, 1.0, 1.0]
    with pytest.raises(NotImplementedError, match=r"bare: has no Triton kernel yet.*cuda:0"):
        bare(tritorch.ones(3, device="cuda"))
