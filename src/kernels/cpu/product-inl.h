// What both ways to multiply share: how weights are read, and the order in which the chains of a
// product are summed. Included once for each instruction set, after highway.h.

// clang-format off
#if defined(GOSSAMER_KERNELS_CPU_PRODUCT_INL_H) == defined(HWY_TARGET_TOGGLE)
#ifdef GOSSAMER_KERNELS_CPU_PRODUCT_INL_H
#undef GOSSAMER_KERNELS_CPU_PRODUCT_INL_H
#else
#define GOSSAMER_KERNELS_CPU_PRODUCT_INL_H
#endif
// clang-format on

#include <hwy/highway.h>

#include <cstddef>
#include <cstdint>

#include "kernels/cpu/matmul.h"
#include "kernels/cpu/partial-inl.h"
#include "tensor/mxfp4.h"

HWY_BEFORE_NAMESPACE();
namespace gossamer::kernels::cpu {
namespace HWY_NAMESPACE {

using D = hwy::HWY_NAMESPACE::ScalableTag<float>;
using V = hwy::HWY_NAMESPACE::Vec<D>;

/// Chains of a product: column c belongs to chain c % kLanes.
constexpr std::size_t kLanes = HWY_LANES(float);

/// The sum of the lanes, halves first: (0 + n/2), (1 + n/2 + 1), …, and so on with what comes out.
/// Whoever sums chains does so in this order.
#if HWY_TARGET == HWY_SCALAR
HWY_INLINE float sum_of_lanes(V v) {
  return hwy::HWY_NAMESPACE::GetLane(v);
}
#else
template <class DV>
HWY_INLINE float sum_halves(DV d, hwy::HWY_NAMESPACE::Vec<DV> v) {
  namespace hn = hwy::HWY_NAMESPACE;
  if constexpr (hn::MaxLanes(DV()) > 4) {
    const hn::Half<DV> half;
    return sum_halves(half, hn::Add(hn::LowerHalf(half, v), hn::UpperHalf(half, v)));
  } else {
    v = hn::Add(v, hn::Shuffle1032(v));
    return hn::GetLane(hn::Add(v, hn::Shuffle2301(v)));
  }
}

HWY_INLINE float sum_of_lanes(V v) {
  return sum_halves(D(), v);
}
#endif

HWY_INLINE V
bf16_to_float(hwy::HWY_NAMESPACE::Vec<hwy::HWY_NAMESPACE::Rebind<std::uint16_t, D>> bits) {
  namespace hn = hwy::HWY_NAMESPACE;
  const hn::RebindToUnsigned<D> du;
  return hn::BitCast(D(), hn::ShiftLeft<16>(hn::PromoteTo(du, bits)));
}

/// kLanes values of bf16, widened.
HWY_INLINE V load_bf16(const BFloat16* from) {
  namespace hn = hwy::HWY_NAMESPACE;
  return bf16_to_float(hn::LoadU(hn::Rebind<std::uint16_t, D>(), &from->bits));
}

/// The first `count` of them, zeros after them; nothing past them is read.
HWY_INLINE V load_bf16_first(const BFloat16* from, std::size_t count) {
  namespace hn = hwy::HWY_NAMESPACE;
  return bf16_to_float(load_first(hn::Rebind<std::uint16_t, D>(), &from->bits, count));
}

constexpr std::size_t kBlockValues = tensor::kMxfp4BlockValues;
constexpr std::size_t kBlockBytes = tensor::kMxfp4BlockBytes;
// 2^(byte - 127), also for byte 0, a subnormal.
HWY_INLINE float scale_of(std::uint8_t byte) {
  const std::uint32_t bits = byte == 0 ? 0x00400000U : std::uint32_t{byte} << 23U;
  float scale;
  hwy::CopySameSize(&bits, &scale);
  return scale;
}

/// Twice the value of each code, so that all are whole numbers. Halving the scale is exact but for
/// scale bytes 0 and 1, whose weights are below 1e-36.
alignas(16) constexpr std::int8_t kDoubledCodes[16] = {
    0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12};

// NOLINTNEXTLINE(google-readability-namespace-comments)
}  // namespace HWY_NAMESPACE
}  // namespace gossamer::kernels::cpu
HWY_AFTER_NAMESPACE();

#endif  // GOSSAMER_KERNELS_CPU_PRODUCT_INL_H
