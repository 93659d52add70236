#pragma once

#include <cstddef>
#include <memory>

#include "base/result.h"
#include "tensor/view.h"

namespace gossamer::tensor {

/// Owned memory for tensors, on the host or on a device. Backends make their own kind.
class Buffer {
 public:
  virtual ~Buffer() = default;
  Buffer(const Buffer&) = delete;
  Buffer& operator=(const Buffer&) = delete;

  std::byte* data() const { return data_; }
  std::size_t size_bytes() const { return size_bytes_; }

  /// Takes the memory of a part now, where it would else be taken as it is touched. A hint:
  /// contents stay, and other threads may use them meanwhile. offset_bytes is a multiple of the
  /// page size.
  virtual void commit(std::size_t /*offset_bytes*/, std::size_t /*num_bytes*/) {}

  /// A view of part of the buffer. offset_bytes must suit the dtype's alignment.
  MutableView view(std::size_t offset_bytes, DType dtype, Shape shape) const {
    const MutableView view(data_ + offset_bytes, dtype, shape);
    GOSSAMER_CHECK(offset_bytes + view.size_bytes() <= size_bytes_);
    return view;
  }

 protected:
  Buffer(std::byte* data, std::size_t size_bytes) : data_(data), size_bytes_(size_bytes) {}

 private:
  std::byte* data_;
  std::size_t size_bytes_;
};

/// Zeroed host memory, page aligned, in huge pages where the system gives them. Pages that are
/// never touched cost nothing, so a large reservation (a KV cache) is paid for as it fills, unless
/// commit() is called.
class HostBuffer final : public Buffer {
 public:
  /// kOutOfMemory when the address space or an overcommit limit refuses.
  static Result<std::unique_ptr<HostBuffer>> allocate(std::size_t size_bytes);
  ~HostBuffer() override;

  void commit(std::size_t offset_bytes, std::size_t num_bytes) override;

 private:
  HostBuffer(std::byte* data, std::size_t size_bytes) : Buffer(data, size_bytes) {}
};

}  // namespace gossamer::tensor
