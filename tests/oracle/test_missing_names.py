# ruff: noqa: E501 - lists of names
"""The public names of torch that are not here, each group with its reason: the lists can only shrink.

A name that is here and still listed fails, as does a name of torch that is neither here nor listed.
"""

from __future__ import annotations

import importlib
import inspect
import warnings

import pytest

torch = pytest.importorskip("torch", reason="torch is the oracle; install the oracle extra")

import tritorch  # noqa: E402

ABSENT = {
    "types and machinery of TorchScript, the dispatcher and the C++ layer, which are not here": """
        AggregationType AliasDb AnyType Argument ArgumentSpec AwaitType BenchmarkConfig BenchmarkExecutionStats Block
        BoolType BufferDict CallStack Capsule ClassType Code CompilationUnit CompleteArgumentSpec ComplexType
        ConcreteModuleType ConcreteModuleTypeBuilder DeepCopyMemoTable DeserializationStorageContext DeviceObjType
        DictType DisableTorchFunction DisableTorchFunctionSubclass DispatchKey DispatchKeySet EnumType ErrorReport
        ExcludeDispatchKeyGuard ExecutionPlan FatalError FileCheck FloatType FunctionSchema Future FutureType Gradient
        Graph GraphExecutorState IODescriptor InferredType IntType InterfaceType JITException ListType
        LiteScriptModule LockingLogger LoggerBase ModuleDict Node NoneType NoopLogger NumberType OperatorInfo
        OptionalType ParameterDict PyObjectType PyTorchFileReader PyTorchFileWriter RRefType ScriptClass
        ScriptClassFunction ScriptDict ScriptDictIterator ScriptDictKeyIterator ScriptFunction ScriptList
        ScriptListIterator ScriptMethod ScriptModule ScriptModuleSerializer ScriptObject ScriptObjectProperty
        SerializationStorageContext StaticModule StreamObjType StringType Tag TensorType ThroughputBenchmark
        TracingState TupleType Type UnionType Use Value classproperty get_file_path import_ir_module
        import_ir_module_from_buffer init_num_threads is_vulkan_available merge_type_from_type_comment parse_ir
        parse_schema parse_type_comment prepare_multiprocessing_environment
        profiler_allow_cudagraph_cupti_lazy_reinit_cuda12 thread_safe_generator unify_type_list AcceleratorError
        StorageBase Storage PRIVATE_OPS AVG SUM USE_GLOBAL_DEPS USE_RTLD_GLOBAL_WITH_LIBTORCH classes ops cpp package
        torch_version torch types windows onnx""",
    "symbolic shapes of the compiler": """
        SymBool SymBoolType SymFloat SymInt SymIntType sym_constrain_range sym_constrain_range_for_size sym_fresh_size""",
    "quantisation": """
        QInt32Storage QInt8Storage QUInt2x4Storage QUInt4x2Storage QUInt8Storage choose_qparams_optimized dequantize
        empty_quantized fake_quantize_per_channel_affine fake_quantize_per_tensor_affine fbgemm_linear_fp16_weight
        fbgemm_linear_fp16_weight_fp32_activation fbgemm_linear_int8_weight fbgemm_linear_int8_weight_fp32_activation
        fbgemm_linear_quantize_weight fbgemm_pack_gemm_matrix_fp16 fbgemm_pack_quantized_matrix
        fused_moving_avg_obs_fake_quant int_repr q_per_channel_axis q_per_channel_scales q_per_channel_zero_points
        q_scale q_zero_point qscheme quantize_per_channel quantize_per_tensor quantize_per_tensor_dynamic
        quantized_batch_norm quantized_gru quantized_gru_cell quantized_lstm quantized_lstm_cell quantized_max_pool1d
        quantized_max_pool2d quantized_max_pool3d quantized_rnn_relu_cell quantized_rnn_tanh_cell qint32 qint8 quint2x4
        quint4x2 quint8 per_channel_affine per_channel_affine_float_qparams per_channel_symmetric per_tensor_affine
        per_tensor_symmetric quantization ao""",
    "sparse and jagged tensors": """
        ccol_indices_copy col_indices_copy crow_indices_copy dsmm hsmm hspmm indices_copy resize_as_sparse_
        row_indices_copy saddmm smm sparse_bsc_tensor sparse_bsr_tensor sparse_compressed_tensor sparse_coo_tensor
        sparse_csc_tensor sparse_csr_tensor spmm sspaddmm values_copy sparse sparse_bsc sparse_bsr sparse_coo sparse_csc
        sparse_csr jagged nested masked""",
    "back-ends of other libraries, under their own names": """
        cudnn_affine_grid_generator cudnn_batch_norm cudnn_convolution cudnn_convolution_add_relu cudnn_convolution_relu
        cudnn_convolution_transpose cudnn_grid_sampler cudnn_is_acceptable miopen_batch_norm miopen_convolution
        miopen_convolution_add_relu miopen_convolution_relu miopen_convolution_transpose miopen_ctc_loss
        miopen_depthwise_convolution miopen_rnn mkldnn_adaptive_avg_pool2d mkldnn_convolution
        mkldnn_linear_backward_weights mkldnn_max_pool2d mkldnn_max_pool3d mkldnn_rnn_layer mps mtia""",
    "inner steps of nn's functions, which only PyTorch's own code calls": """
        batch_norm_backward_elemt batch_norm_backward_reduce batch_norm_elemt batch_norm_gather_stats
        batch_norm_gather_stats_with_counts batch_norm_stats batch_norm_update_stats embedding_bag embedding_renorm_
        native_batch_norm native_norm hash_tensor slice_inverse""",
    "removed from PyTorch: they raise there": "eig lstsq matrix_rank solve symeig",
    "an iterative eigensolver for sparse operators": "lobpcg",
    "autocast on devices that are not here": """
        get_autocast_ipu_dtype get_autocast_xla_dtype is_autocast_ipu_enabled is_autocast_xla_enabled
        set_autocast_ipu_dtype set_autocast_ipu_enabled set_autocast_xla_dtype""",
    "dtypes that NumPy and ml_dtypes arrays of this package do not take": """
        bit bits16 bits1x8 bits2x4 bits4x2 bits8 chalf complex32 float4_e2m1fn_x2 float8_e4m3fn float8_e4m3fnuz
        float8_e5m2 float8_e5m2fnuz float8_e8m0fnu int1 int2 int3 int4 int5 int6 int7 uint1 uint16 uint2 uint3 uint32
        uint4 uint5 uint6 uint64 uint7""",
    "modules of the standard library that torch's namespace happens to hold": """
        builtins ctypes functools glob inspect math os platform sys textwrap threading warnings""",
    "programs and tools about PyTorch's own graphs, and modules that are planned": """
        accelerator backends cpu distributed distributions export functional futures fx hub legacy_contiguous_format
        monitor multiprocessing overrides quasirandom storage testing autocast_decrement_nesting
        autocast_increment_nesting set_autocast_xla_enabled debug utils amp library""",
}
ABSENT_METHODS = {
    "sparse and quantised tensors": """
        ccol_indices coalesce col_indices crow_indices dequantize indices int_repr is_coalesced q_per_channel_axis
        q_per_channel_scales q_per_channel_zero_points q_scale q_zero_point qscheme resize_as_sparse_ row_indices smm
        sparse_mask sparse_resize_ sparse_resize_and_clear_ sspaddmm to_mkldnn to_padded_tensor to_sparse to_sparse_bsc
        to_sparse_bsr to_sparse_coo to_sparse_csc to_sparse_csr values""",
    "removed from PyTorch: they raise there": "eig lstsq reinforce resize resize_as solve symeig volatile",
    "devices and dtypes that are not here": "chalf ipu mtia xpu",
    "names of PyTorch's own machinery": "grad_dtype hash_tensor index module_load name slice_inverse",
    "stream-ordered memory is CuPy's": "record_stream",
}
ABSENT_LINALG = {"the indefinite factorisation (LAPACK's sytrf) is not in NumPy": "ldl_factor ldl_factor_ex ldl_solve"}
ABSENT_FUNC = {
    "transforms of PyTorch's dispatcher, and einops' pattern language": "debug_unwrap functionalize rearrange"
}


ABSENT_GRAPH = {
    "settings of PyTorch's C++ engine and compiler": """
        region_activation_memory_budget set_override_stale_capture_stream set_warn_on_accumulate_grad_stream_mismatch""",
    "values that are changed after they were saved raise here": "allow_mutation_on_saved_tensors",
}
ABSENT_ATTENTION = {
    "kernels of other packages, and warnings of a choice that is not made here": """
        WARN_FOR_UNFUSED_KERNELS activate_flash_attention_impl current_flash_attention_impl list_flash_attention_impls
        register_flash_attention_impl restore_flash_attention_impl""",
}
ABSENT_UTILS_HOOKS = {"inner functions of PyTorch's modules": "BackwardHook unserializable_hook warn_if_has_hooks"}
ABSENT_BENCHMARK = {
    "counts of instructions by valgrind, and random inputs": """
        CallgrindStats CopyIfCallgrind FunctionCount FunctionCounts FuzzedParameter FuzzedSparseTensor FuzzedTensor Fuzzer
        Number ParameterAlias""",
}
ABSENT_BACKENDS_CUDA = {
    "libraries that are not used here": """
        SDPAParams allow_fp16_bf16_reduction_math_sdp blas_workspace_size can_use_cudnn_attention
        can_use_efficient_attention can_use_flash_attention cuBLASModule cuFFTPlanCache cuFFTPlanCacheAttrContextProp
        cuFFTPlanCacheManager cublas_workspace_size cublaslt_workspace_size cufft_plan_cache
        fp16_bf16_reduction_math_sdp_allowed is_ck_sdpa_available preferred_blas_library preferred_linalg_library
        preferred_rocm_fa_library""",
}
ABSENT_PROFILER = {"a record of PyTorch's own execution graph": "ExecutionTraceObserver"}
ABSENT_AUTOGRAD_PROFILER = {
    "Intel's tools, and files of NVIDIA's older one": "emit_itt load_nvprof parse_nvprof_trace EnforceUnique",
    "machinery of PyTorch's recorder": "KinetoStepTracker MemRecordsAcc",
}
ABSENT_PROFILER_UTIL = {
    "machinery of PyTorch's recorder": "EventMetadata FormattedTimesMixin Kernel MemRecordsAcc StringTable"
}
ABSENT_NVTX = {"ranges across threads, which CuPy does not give": "range_start range_end"}


def names(groups: dict[str, str]) -> set[str]:
    found = [n for text in groups.values() for n in text.split()]
    assert len(found) == len(set(found)), "listed twice"
    return set(found)


def public(module, foreign: bool = True) -> set[str]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return {
            n for n in dir(module)
            if not n.startswith("_") and (foreign or not inspect.ismodule(getattr(module, n)))
        }  # fmt: skip


def here(module, name: str) -> bool:
    try:
        return hasattr(module, name)
    except ImportError:
        return False


def check(theirs, ours, groups: dict[str, str], ignore: set[str] = frozenset()) -> None:
    missing = {n for n in public(theirs) - ignore if not here(ours, n)}
    listed = names(groups)
    assert not missing - listed, f"names of torch that are neither here nor listed: {sorted(missing - listed)}"
    back = {n for n in listed if here(ours, n)} - PLANNED
    assert not back, f"names that are here: take them from the list: {sorted(back)}"


PLANNED = set(next(text for why, text in ABSENT.items() if why.endswith("planned")).split())
"""Modules that come: whether one is here already is not this test's question."""


def test_the_namespace_of_torch() -> None:
    check(torch, tritorch, ABSENT)


def test_the_methods_of_tensors() -> None:
    check(torch.Tensor, tritorch.Tensor, ABSENT_METHODS)


def test_the_packages() -> None:
    noise = {"Tensor", "common_args", "common_notes", "factory_common_args", "multi_dim_common", "torch"}
    check(torch.linalg, tritorch.linalg, ABSENT_LINALG, noise)
    check(torch.fft, tritorch.fft, {}, noise)
    check(torch.special, tritorch.special, {}, noise)
    check(torch.func, tritorch.func, ABSENT_FUNC, noise)
    check(
        torch.signal.windows,
        tritorch.signal.windows,
        {},
        {n for n in dir(torch.signal.windows) if n not in torch.signal.windows.__all__},
    )


LISTED = {
    "autograd.graph": ABSENT_GRAPH,
    "nn.attention": ABSENT_ATTENTION,
    "utils.hooks": ABSENT_UTILS_HOOKS,
    "utils.dlpack": {},
    "utils.benchmark": ABSENT_BENCHMARK,
    "backends.cuda": ABSENT_BACKENDS_CUDA,
    "profiler": ABSENT_PROFILER,
    "autograd.profiler": ABSENT_AUTOGRAD_PROFILER,
    "autograd.profiler_util": ABSENT_PROFILER_UTIL,
    "cuda.nvtx": ABSENT_NVTX,
    "cuda.profiler": {},
}


@pytest.mark.parametrize("name", LISTED)
def test_the_listed_names_of_a_module(name: str) -> None:
    """What the module says is public (`__all__`), where it says so."""
    theirs, ours = importlib.import_module(f"torch.{name}"), importlib.import_module(f"tritorch.{name}")
    says = getattr(theirs, "__all__", None) or [n for n in public(theirs, foreign=False) if n != "torch"]
    check(theirs, ours, LISTED[name], public(theirs) - set(says) - names(LISTED[name]))


@pytest.mark.parametrize(
    "name",
    [
        "nn.functional",
        "nn",
        "nn.init",
        "optim",
        "optim.lr_scheduler",
        "autograd",
        "autograd.functional",
        "autograd.graph",
        "nn.attention",
        "utils.benchmark",
        "utils.dlpack",
        "utils.hooks",
        "backends.cuda",
        "profiler",
        "autograd.profiler",
        "cuda.nvtx",
        "cuda.profiler",
    ],  # fmt: skip
)
def test_functions_of_a_package_have_its_signature(name: str) -> None:
    """Every function that both have takes PyTorch's parameters, in order."""
    ours, theirs = importlib.import_module(f"tritorch.{name}"), importlib.import_module(f"torch.{name}")
    for n in public(theirs):
        a, b = getattr(ours, n, None), getattr(theirs, n)
        if not inspect.isfunction(b) or not inspect.isfunction(a):
            continue
        wanted = [p for p in inspect.signature(b).parameters if not p.startswith("_")]
        got = inspect.signature(a).parameters
        if any(p.kind is p.VAR_KEYWORD for p in got.values()) or "args" in wanted:
            continue
        missing = [p for p in wanted if p not in got and p != "grad_variables"]  # deprecated in PyTorch
        assert not missing, f"{name}.{n}: lacks {missing}"
