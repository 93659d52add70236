#pragma once

#include <cuda_bf16.h>

#include "tensor/view.h"

namespace gossamer::kernels::cuda {

// The elements of views as kernels name them. The dtype must be right.

inline const __nv_bfloat16* bf16(tensor::View view) {
  return reinterpret_cast<const __nv_bfloat16*>(view.as<tensor::BFloat16>());
}

inline __nv_bfloat16* bf16(tensor::MutableView view) {
  return reinterpret_cast<__nv_bfloat16*>(view.as<tensor::BFloat16>());
}

/// The bf16 elements, or null where the view is empty.
inline const __nv_bfloat16* optional_bf16(tensor::View view) {
  return view.empty() ? nullptr : bf16(view);
}

inline int extent(const tensor::View& view, int axis) {
  return static_cast<int>(view.shape()[axis]);
}

}  // namespace gossamer::kernels::cuda
