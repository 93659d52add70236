#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <span>
#include <string>
#include <type_traits>

#include "base/check.h"
#include "tensor/dtype.h"

namespace gossamer::tensor {

/// Up to four extents, outermost first.
class Shape {
 public:
  static constexpr int kMaxRank = 4;

  Shape() = default;
  Shape(std::initializer_list<std::int64_t> extents);
  explicit Shape(std::span<const std::int64_t> extents);

  int rank() const { return rank_; }
  std::int64_t operator[](int axis) const { return extents_[static_cast<std::size_t>(axis)]; }

  /// The product of the extents; 1 for rank 0.
  std::int64_t num_elements() const;

  /// "[32, 5760, 90, 16]"
  std::string to_string() const;

  bool operator==(const Shape&) const = default;

 private:
  std::array<std::int64_t, kMaxRank> extents_{};
  int rank_ = 0;
};

/// A borrowed, contiguous, row-major tensor. `Byte` is `const std::byte` (read) or `std::byte`
/// (write). The memory may be a device's; only host memory may be dereferenced. An empty view has
/// no data.
template <class Byte>
class BasicView {
 public:
  BasicView() = default;
  BasicView(Byte* data, DType dtype, Shape shape) : data_(data), dtype_(dtype), shape_(shape) {}

  // A writable view reads as well.
  template <class Other>
  requires(std::is_const_v<Byte> && !std::is_const_v<Other>)
      BasicView(const BasicView<Other>& other)  // NOLINT(google-explicit-constructor)
      : data_(other.data()), dtype_(other.dtype()), shape_(other.shape()) {}

  bool empty() const { return data_ == nullptr; }
  Byte* data() const { return data_; }
  DType dtype() const { return dtype_; }
  const Shape& shape() const { return shape_; }
  std::size_t size_bytes() const {
    return empty() ? 0 : static_cast<std::size_t>(shape_.num_elements()) * size_of(dtype_);
  }

  /// The elements as T, which must be the view's dtype.
  template <class T>
  auto as() const {
    GOSSAMER_CHECK(DTypeOf<T>::kValue == dtype_);
    using Element = std::conditional_t<std::is_const_v<Byte>, const T, T>;
    return reinterpret_cast<Element*>(data_);  // NOLINT
  }

  /// Rows [begin, end) of the outermost axis.
  BasicView rows(std::int64_t begin, std::int64_t end) const {
    GOSSAMER_CHECK(0 <= begin && begin <= end && end <= shape_[0]);
    std::array<std::int64_t, Shape::kMaxRank> extents{};
    for (int axis = 0; axis < shape_.rank(); ++axis)
      extents[static_cast<std::size_t>(axis)] = shape_[axis];
    const std::int64_t row_elements = shape_[0] == 0 ? 0 : shape_.num_elements() / shape_[0];
    extents[0] = end - begin;
    return BasicView(
        data_ + static_cast<std::size_t>(begin * row_elements) * size_of(dtype_),
        dtype_,
        Shape(std::span(extents).first(static_cast<std::size_t>(shape_.rank())))
    );
  }

 private:
  Byte* data_ = nullptr;
  DType dtype_ = DType::kU8;
  Shape shape_;
};

using View = BasicView<const std::byte>;
using MutableView = BasicView<std::byte>;

}  // namespace gossamer::tensor
