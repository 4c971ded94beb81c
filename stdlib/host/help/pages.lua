-- The names of torch and of Tensor that PyTorch has documented (2.13): those with a docstring in Python, by `dir`.
-- tests/parity/test_help.py compares them with the real one.
local pages = {}

local TORCH <const> = [[
  abs absolute acos acosh add addbmm addcdiv addcmul addmm addmv addr adjoint alias_copy all allclose amax amin
  aminmax angle any arange arccos arccosh arcsin arcsinh arctan arctan2 arctanh are_deterministic_algorithms_enabled
  argmax argmin argsort argwhere as_strided as_strided_copy as_strided_scatter as_tensor asarray asin asinh atan
  atan2 atanh atleast_1d atleast_2d atleast_3d baddbmm bartlett_window bernoulli bincount bitwise_and
  bitwise_left_shift bitwise_not bitwise_or bitwise_right_shift bitwise_xor blackman_window block_diag bmm
  broadcast_shapes broadcast_tensors broadcast_to bucketize can_cast cartesian_prod cat cdist ceil chain_matmul
  cholesky cholesky_inverse cholesky_solve chunk clamp clip clone col_indices_copy column_stack combinations compile
  compiled_with_cxx11_abi complex concat concatenate cond conj conj_physical conv1d copysign corrcoef cos cosh
  count_nonzero cov cross crow_indices_copy cummax cummin cumprod cumsum cumulative_trapezoid deg2rad dequantize det
  detach_copy diag diag_embed diagflat diagonal diagonal_copy diagonal_scatter diff digamma dist div divide dot
  dsplit dstack einsum empty empty_like empty_permuted empty_strided enable_grad eq equal erf erfc erfinv exp exp2
  expand_copy expm1 eye fake_quantize_per_channel_affine fake_quantize_per_tensor_affine fix flatten flip fliplr
  flipud float_power floor floor_divide fmax fmin fmod fork frac frexp from_dlpack from_file from_numpy frombuffer
  full full_like gather gcd ge geqrf ger get_default_device get_default_dtype get_deterministic_debug_mode
  get_device_module get_float32_matmul_precision get_num_interop_threads get_num_threads get_rng_state gradient
  greater greater_equal gt hamming_window hann_window hash_tensor heaviside histc histogram histogramdd hsplit hspmm
  hstack hypot i0 igamma igammac imag import_ir_module import_ir_module_from_buffer index_add index_copy
  index_reduce index_select indices_copy inference_mode init_num_threads initial_seed inner inverse is_complex
  is_conj is_deterministic_algorithms_warn_only_enabled is_floating_point is_grad_enabled is_inference
  is_inference_mode_enabled is_nonzero is_storage is_tensor is_warn_always_enabled isclose isfinite isin isinf isnan
  isneginf isposinf isreal istft kaiser_window kron kthvalue lcm ldexp le lerp less less_equal lgamma linspace load
  lobpcg log log10 log1p log2 logaddexp logaddexp2 logcumsumexp logdet logical_and logical_not logical_or
  logical_xor logit logspace logsumexp lt lu lu_solve lu_unpack manual_seed masked_select matmul matrix_exp
  matrix_power max maximum mean median merge_type_from_type_comment meshgrid min minimum mm mode moveaxis movedim
  msort mul multinomial multiply mv mvlgamma nan_to_num nanmean nanmedian nanquantile nansum narrow narrow_copy ne
  neg negative nextafter no_grad nonzero nonzero_static norm normal not_equal numel ones ones_like orgqr ormqr outer
  parse_ir parse_schema parse_type_comment pca_lowrank permute permute_copy pinverse poisson polar polygamma
  positive pow prod promote_types qr quantile quantize_per_channel quantize_per_tensor quantize_per_tensor_dynamic
  quantized_batch_norm quantized_max_pool1d quantized_max_pool2d rad2deg rand rand_like randint randint_like randn
  randn_like randperm range ravel real reciprocal remainder renorm repeat_interleave reshape resolve_conj
  resolve_neg result_type roll rot90 round row_stack rsqrt save scatter scatter_add scatter_reduce searchsorted seed
  segment_reduce select select_copy select_scatter set_default_device set_default_dtype set_default_tensor_type
  set_deterministic_debug_mode set_float32_matmul_precision set_flush_denormal set_grad_enabled
  set_num_interop_threads set_num_threads set_printoptions set_rng_state set_warn_always sgn sigmoid sign signbit
  sin sinc sinh slice_copy slice_scatter slogdet smm softmax sort sparse_bsc_tensor sparse_bsr_tensor
  sparse_compressed_tensor sparse_coo_tensor sparse_csc_tensor sparse_csr_tensor split split_copy
  split_with_sizes_copy sqrt square squeeze squeeze_copy sspaddmm stack std std_mean stft sub subtract sum svd
  svd_lowrank swapaxes swapdims sym_float sym_int sym_ite sym_max sym_min sym_not sym_sum t t_copy take
  take_along_dim tan tanh tensor tensor_split tensordot thread_safe_generator tile to_dlpack topk trace transpose
  transpose_copy trapezoid trapz triangular_solve tril tril_indices triu triu_indices true_divide trunc typename
  unbind unbind_copy unflatten unfold_copy unify_type_list unique unique_consecutive unravel_index unsafe_chunk
  unsafe_split unsqueeze unsqueeze_copy use_deterministic_algorithms values_copy vander var var_mean vdot
  view_as_complex view_as_complex_copy view_as_real view_as_real_copy view_copy vmap vsplit vstack wait where
  while_loop xlogy zeros zeros_like]]

local TENSOR <const> = [[
  H T abs abs_ absolute absolute_ acos acos_ acosh acosh_ add add_ addbmm addbmm_ addcdiv addcdiv_ addcmul addcmul_
  addmm addmm_ addmv addmv_ addr addr_ adjoint all allclose amax amin aminmax angle any apply_ arccos arccos_
  arccosh arccosh_ arcsin arcsin_ arcsinh arcsinh_ arctan arctan2 arctan2_ arctan_ arctanh arctanh_ argmax argmin
  argsort argwhere as_strided as_strided_ as_strided_scatter as_subclass asin asin_ asinh asinh_ atan atan2 atan2_
  atan_ atanh atanh_ backward baddbmm baddbmm_ bernoulli bernoulli_ bfloat16 bincount bitwise_and bitwise_and_
  bitwise_left_shift bitwise_left_shift_ bitwise_not bitwise_not_ bitwise_or bitwise_or_ bitwise_right_shift
  bitwise_right_shift_ bitwise_xor bitwise_xor_ bmm bool broadcast_to byte cauchy_ cdouble ceil ceil_ cfloat chalf
  char cholesky cholesky_inverse cholesky_solve chunk clamp clamp_ clip clip_ clone coalesce col_indices conj
  conj_physical conj_physical_ const_data_ptr contiguous copy_ copysign copysign_ corrcoef cos cos_ cosh cosh_
  count_nonzero cov cpu cross crow_indices cuda cummax cummin cumprod cumprod_ cumsum cumsum_ data_ptr deg2rad
  deg2rad_ dense_dim dequantize det detach detach_ device diag diag_embed diagflat diagonal diagonal_scatter diff
  digamma digamma_ dim dim_order dist div div_ divide divide_ dot double dsplit element_size eq eq_ equal erf erf_
  erfc erfc_ erfinv erfinv_ exp exp2 exp2_ exp_ expand expand_as expm1 expm1_ exponential_ fill_ fill_diagonal_ fix
  fix_ flatten flip fliplr flipud float float_power float_power_ floor floor_ floor_divide floor_divide_ fmax fmin
  fmod fmod_ frac frac_ frexp gather gcd gcd_ ge ge_ geometric_ geqrf ger get_device grad grad_dtype greater
  greater_ greater_equal greater_equal_ gt gt_ half hardshrink heaviside heaviside_ histc histogram hsplit hypot
  hypot_ i0 i0_ igamma igamma_ igammac igammac_ imag index index_add index_add_ index_copy index_copy_ index_fill
  index_fill_ index_put index_put_ index_reduce_ index_select indices inner int int_repr inverse ipu is_coalesced
  is_complex is_conj is_contiguous is_cpu is_cuda is_floating_point is_inference is_ipu is_leaf is_meta is_mps
  is_neg is_pinned is_quantized is_set_to is_shared is_signed is_sparse is_sparse_csr is_xla is_xpu isclose isfinite
  isinf isnan isneginf isposinf isreal istft item itemsize kron kthvalue lcm lcm_ ldexp ldexp_ le le_ lerp lerp_
  less less_ less_equal less_equal_ lgamma lgamma_ log log10 log10_ log1p log1p_ log2 log2_ log_ log_normal_
  logaddexp logaddexp2 logcumsumexp logdet logical_and logical_and_ logical_not logical_not_ logical_or logical_or_
  logical_xor logical_xor_ logit logit_ logsumexp long lt lt_ lu lu_solve mH mT map_ masked_fill masked_fill_
  masked_scatter masked_scatter_ masked_select matmul matrix_exp matrix_power max maximum mean median min minimum mm
  mode module_load moveaxis movedim msort mtia mul mul_ multinomial multiply multiply_ mv mvlgamma mvlgamma_
  nan_to_num nan_to_num_ nanmean nanmedian nanquantile nansum narrow narrow_copy nbytes ndim ndimension ne ne_ neg
  neg_ negative negative_ nelement new_empty new_empty_strided new_full new_ones new_tensor new_zeros nextafter
  nextafter_ nonzero nonzero_static norm normal_ not_equal not_equal_ numel numpy orgqr ormqr outer permute
  pin_memory pinverse polygamma polygamma_ positive pow pow_ prod put put_ q_per_channel_axis q_per_channel_scales
  q_per_channel_zero_points q_scale q_zero_point qr qscheme quantile rad2deg rad2deg_ random_ ravel real reciprocal
  reciprocal_ record_stream register_hook register_post_accumulate_grad_hook remainder remainder_ renorm renorm_
  repeat repeat_interleave requires_grad requires_grad_ reshape reshape_as resize_ resize_as_ resolve_conj
  resolve_neg retain_grad retains_grad roll rot90 round round_ rsqrt rsqrt_ scatter scatter_ scatter_add
  scatter_add_ scatter_reduce scatter_reduce_ select select_scatter set_ sgn sgn_ shape share_memory_ short sigmoid
  sigmoid_ sign sign_ signbit sin sin_ sinc sinc_ sinh sinh_ size slice_scatter slogdet smm softmax sort sparse_dim
  sparse_mask sparse_resize_ sparse_resize_and_clear_ split sqrt sqrt_ square square_ squeeze squeeze_ sspaddmm std
  stft storage storage_offset storage_type stride sub sub_ subtract subtract_ sum sum_to_size svd swapaxes swapaxes_
  swapdims swapdims_ t t_ take take_along_dim tan tan_ tanh tanh_ tensor_split tile to to_dense to_mkldnn
  to_padded_tensor to_sparse to_sparse_bsc to_sparse_bsr to_sparse_coo to_sparse_csc to_sparse_csr tolist topk trace
  transpose transpose_ triangular_solve tril tril_ triu triu_ true_divide true_divide_ trunc trunc_ type type_as
  unbind unflatten unfold uniform_ unique unique_consecutive unsafe_chunk unsafe_split unsqueeze unsqueeze_
  untyped_storage values var vdot view view_as vsplit where xlogy xlogy_ xpu zero_]]

local function set(text)
  local names = {}
  for name in text:gmatch("%S+") do names[name] = true end
  return names
end

pages["torch"] = set(TORCH)
pages["torch.Tensor"] = set(TENSOR)

return pages
