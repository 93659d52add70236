#pragma once

#include <cuda_runtime.h>

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "base/result.h"
#include "tensor/buffer.h"

namespace gossamer::kernels::cuda {

/// Throws std::runtime_error that says which call failed, how, and on which device, when `status`
/// is an error. `call` is what was called, as "cudaMemcpyAsync" or the name of a kernel.
void check(cudaError_t status, std::string_view call);

/// Memory of the current device, for tensors. Freed on the device that it was made on.
class DeviceBuffer final : public tensor::Buffer {
 public:
  /// Zeroed memory; complete when it returns. kOutOfMemory says how much was asked for and how much
  /// is free.
  static Result<std::unique_ptr<DeviceBuffer>> allocate(std::size_t size_bytes);
  ~DeviceBuffer() override;

 private:
  DeviceBuffer(std::byte* data, std::size_t size_bytes) : Buffer(data, size_bytes) {}
};

/// Host memory that the device copies from and to without the driver's own staging. Not zeroed.
class PinnedBuffer final : public tensor::Buffer {
 public:
  /// kOutOfMemory says how much was asked for.
  static Result<std::unique_ptr<PinnedBuffer>> allocate(std::size_t size_bytes);
  ~PinnedBuffer() override;

 private:
  PinnedBuffer(std::byte* data, std::size_t size_bytes) : Buffer(data, size_bytes) {}
};

/// A CUDA object that one function destroys. Empty after it was moved from.
template <class Handle, cudaError_t (*kDestroy)(Handle)>
class Owned {
 public:
  Owned() = default;
  explicit Owned(Handle handle) : handle_(handle) {}
  Owned(Owned&& other) noexcept : handle_(std::exchange(other.handle_, nullptr)) {}
  Owned& operator=(Owned&& other) noexcept {
    std::swap(handle_, other.handle_);
    return *this;
  }
  Owned(const Owned&) = delete;
  Owned& operator=(const Owned&) = delete;
  ~Owned() {
    if (handle_ != nullptr) kDestroy(handle_);
  }

  Handle get() const { return handle_; }
  explicit operator bool() const { return handle_ != nullptr; }

 private:
  Handle handle_ = nullptr;
};

/// Operations of a stream run in order, and beside those of other streams, the default one too.
using Stream = Owned<cudaStream_t, cudaStreamDestroy>;
/// A place in a stream that can be waited for, and timed.
using Event = Owned<cudaEvent_t, cudaEventDestroy>;
/// Recorded operations, and the form in which they can be launched.
using Graph = Owned<cudaGraph_t, cudaGraphDestroy>;
using GraphExec = Owned<cudaGraphExec_t, cudaGraphExecDestroy>;

Stream make_stream();
Event make_event();

/// Milliseconds between two events that have both come to pass.
float elapsed_ms(const Event& begin, const Event& end);

/// Starts to record what this thread launches on a stream, instead of running it.
void begin_recording(cudaStream_t stream);
/// Ends the recording, ready to be launched.
GraphExec end_recording(cudaStream_t stream);

}  // namespace gossamer::kernels::cuda
