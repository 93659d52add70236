// Loads and stores of fewer elements than a vector holds, for the ends of rows. Included once for
// each instruction set, after highway.h.

// clang-format off
#if defined(GOSSAMER_KERNELS_CPU_PARTIAL_INL_H) == defined(HWY_TARGET_TOGGLE)
#ifdef GOSSAMER_KERNELS_CPU_PARTIAL_INL_H
#undef GOSSAMER_KERNELS_CPU_PARTIAL_INL_H
#else
#define GOSSAMER_KERNELS_CPU_PARTIAL_INL_H
#endif
// clang-format on

#include <hwy/highway.h>

#include <algorithm>
#include <cstddef>

HWY_BEFORE_NAMESPACE();
namespace gossamer::kernels::cpu {
namespace HWY_NAMESPACE {

/// The first `count` elements at `from`, zeros after them; nothing past them is read.
template <class D, class T = hwy::HWY_NAMESPACE::TFromD<D>>
HWY_INLINE hwy::HWY_NAMESPACE::Vec<D> load_first(D d, const T* from, std::size_t count) {
  HWY_ALIGN T lanes[HWY_MAX_BYTES / sizeof(T)] = {};
  std::copy_n(from, count, lanes);
  return hwy::HWY_NAMESPACE::Load(d, lanes);
}

/// Stores the first `count` elements of a vector; nothing past them is written.
template <class D, class T = hwy::HWY_NAMESPACE::TFromD<D>>
HWY_INLINE void store_first(hwy::HWY_NAMESPACE::Vec<D> v, D d, T* to, std::size_t count) {
  HWY_ALIGN T lanes[HWY_MAX_BYTES / sizeof(T)];
  hwy::HWY_NAMESPACE::Store(v, d, lanes);
  std::copy_n(lanes, count, to);
}

}  // namespace HWY_NAMESPACE
}  // namespace gossamer::kernels::cpu
HWY_AFTER_NAMESPACE();

#endif  // GOSSAMER_KERNELS_CPU_PARTIAL_INL_H
