#include "kernels/cpu/elementwise.h"

#include <cmath>
#include <cstdint>

// Compiled once for each instruction set: foreach_target.h includes this file again and again.
// clang-format off
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/cpu/elementwise.cc"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>
#include <hwy/contrib/math/math-inl.h>
#include "kernels/cpu/partial-inl.h"
// clang-format on

HWY_BEFORE_NAMESPACE();
namespace gossamer::kernels::cpu {
namespace HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;
using D = hn::ScalableTag<float>;
using V = hn::Vec<D>;

constexpr float kSwigluAlpha = 1.702F;

/// Access to whole vectors.
struct Whole {
  HWY_INLINE V load(const float* x) const { return hn::LoadU(D(), x); }
  HWY_INLINE void store(V v, float* x) const { hn::StoreU(v, D(), x); }
  HWY_INLINE V load(const BFloat16* x) const {
    return widen(hn::LoadU(hn::Rebind<std::uint16_t, D>(), &x->bits));
  }
  static HWY_INLINE V widen(hn::Vec<hn::Rebind<std::uint16_t, D>> bits) {
    return hn::BitCast(D(), hn::ShiftLeft<16>(hn::PromoteTo(hn::RebindToUnsigned<D>(), bits)));
  }
};

/// Access to the last, partial vector of a row.
struct Part {
  std::size_t count;

  HWY_INLINE V load(const float* x) const { return load_first(D(), x, count); }
  HWY_INLINE void store(V v, float* x) const { store_first(v, D(), x, count); }
  HWY_INLINE V load(const BFloat16* x) const {
    return Whole::widen(load_first(hn::Rebind<std::uint16_t, D>(), &x->bits, count));
  }
};

/// Calls body(offset, access) for whole vectors, then once for what is left.
template <class Body>
HWY_INLINE void for_vectors(std::size_t size, const Body& body) {
  const std::size_t lanes = hn::Lanes(D());
  std::size_t i = 0;
  for (; i + lanes <= size; i += lanes) body(i, Whole{});
  if (i < size) body(i, Part{size - i});
}

void rms_norm_row(const float* x, const BFloat16* scale, double eps, std::size_t size, float* y) {
  const D d;
  V sum = hn::Zero(d);
  for_vectors(size, [&](std::size_t i, const auto& access) {
    const V value = access.load(x + i);
    sum = hn::MulAdd(value, value, sum);
  });
  const double mean =
      static_cast<double>(hn::GetLane(hn::SumOfLanes(d, sum))) / static_cast<double>(size);
  const V factor = hn::Set(d, static_cast<float>(1.0 / std::sqrt(mean + eps)));
  for_vectors(size, [&](std::size_t i, const auto& access) {
    const V value = hn::Mul(access.load(x + i), factor);
    access.store(hn::Mul(value, access.load(scale + i)), y + i);
  });
}

void swiglu_row(const float* x, float limit, std::size_t size, float* y) {
  const D d;
  const V one = hn::Set(d, 1.0F);
  const auto activate = [&](V gate, V linear) {
    const V u = hn::Min(gate, hn::Set(d, limit));
    const V v = hn::Min(hn::Max(linear, hn::Set(d, -limit)), hn::Set(d, limit));
    // Past 88 the exponential would leave the floats; u / e^88 is already nothing.
    const V e = hn::Exp(d, hn::Min(hn::Mul(u, hn::Set(d, -kSwigluAlpha)), hn::Set(d, 88.0F)));
    return hn::Mul(hn::Div(u, hn::Add(one, e)), hn::Add(v, one));
  };
  const std::size_t lanes = hn::Lanes(d);
  std::size_t i = 0;
  for (; i + lanes <= size; i += lanes) {
    V gate;
    V linear;
    hn::LoadInterleaved2(d, x + 2 * i, gate, linear);
    hn::StoreU(activate(gate, linear), d, y + i);
  }
  for (; i < size; ++i) {
    y[i] = hn::GetLane(activate(hn::Set(d, x[2 * i]), hn::Set(d, x[2 * i + 1])));
  }
}

void add_scaled_row(const float* y, float weight, std::size_t size, float* x) {
  const D d;
  for_vectors(size, [&](std::size_t i, const auto& access) {
    const V sum = hn::MulAdd(hn::Set(d, weight), access.load(y + i), access.load(x + i));
    access.store(sum, x + i);
  });
}

void rotate_head(const float* cosines, const float* sines, std::size_t half, float* x) {
  for_vectors(half, [&](std::size_t i, const auto& access) {
    const V cosine = access.load(cosines + i);
    const V sine = access.load(sines + i);
    const V a = access.load(x + i);
    const V b = access.load(x + half + i);
    access.store(hn::Sub(hn::Mul(a, cosine), hn::Mul(b, sine)), x + i);
    access.store(hn::Add(hn::Mul(b, cosine), hn::Mul(a, sine)), x + half + i);
  });
}

void widen_row(const BFloat16* x, std::size_t size, float* y) {
  for_vectors(size, [&](std::size_t i, const auto& access) {
    access.store(access.load(x + i), y + i);
  });
}

// NOLINTNEXTLINE(google-readability-namespace-comments)
}  // namespace HWY_NAMESPACE
}  // namespace gossamer::kernels::cpu
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace gossamer::kernels::cpu {
HWY_EXPORT(rms_norm_row);
HWY_EXPORT(swiglu_row);
HWY_EXPORT(add_scaled_row);
HWY_EXPORT(rotate_head);
HWY_EXPORT(widen_row);

void rms_norm_row(const float* x, const BFloat16* scale, double eps, std::size_t size, float* y) {
  HWY_DYNAMIC_DISPATCH(rms_norm_row)(x, scale, eps, size, y);
}

void swiglu_row(const float* x, float limit, std::size_t size, float* y) {
  HWY_DYNAMIC_DISPATCH(swiglu_row)(x, limit, size, y);
}

void add_scaled_row(const float* y, float weight, std::size_t size, float* x) {
  HWY_DYNAMIC_DISPATCH(add_scaled_row)(y, weight, size, x);
}

void rotate_head(const float* cosines, const float* sines, std::size_t half, float* x) {
  HWY_DYNAMIC_DISPATCH(rotate_head)(cosines, sines, half, x);
}

void widen_row(const BFloat16* x, std::size_t size, float* y) {
  HWY_DYNAMIC_DISPATCH(widen_row)(x, size, y);
}

}  // namespace gossamer::kernels::cpu
#endif  // HWY_ONCE
