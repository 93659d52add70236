#include <fmt/format.h>

#include <algorithm>
#include <stdexcept>

#include "base/terminal.h"
#include "kernels/cuda/memory.cuh"

namespace gossamer::kernels::cuda {
namespace {

// cudaMalloc of zero bytes gives no address; an empty buffer has one.
std::size_t allocated_size(std::size_t size_bytes) {
  return std::max<std::size_t>(size_bytes, 1);
}

std::string current_device() {
  int device = 0;
  cudaDeviceProp properties{};
  if (cudaGetDevice(&device) != cudaSuccess) return "no device";
  if (cudaGetDeviceProperties(&properties, device) != cudaSuccess) {
    return fmt::format("device {}", device);
  }
  return fmt::format("device {} ({})", device, properties.name);
}

}  // namespace

void check(cudaError_t status, std::string_view call) {
  if (status == cudaSuccess) return;
  throw std::runtime_error(fmt::format(
      "{}: {}: {}, on {}",
      call,
      cudaGetErrorName(status),
      cudaGetErrorString(status),
      current_device()
  ));
}

Result<std::unique_ptr<DeviceBuffer>> DeviceBuffer::allocate(std::size_t size_bytes) {
  void* data = nullptr;
  const cudaError_t status = cudaMalloc(&data, allocated_size(size_bytes));
  if (status == cudaErrorMemoryAllocation) {
    static_cast<void>(cudaGetLastError());  // it would be reported again by the next launch
    std::size_t free_bytes = 0;
    std::size_t total_bytes = 0;
    check(cudaMemGetInfo(&free_bytes, &total_bytes), "cudaMemGetInfo");
    return make_error(
        ErrorCode::kOutOfMemory,
        "cannot allocate {} on {}: {} of its {} are free",
        format_bytes(size_bytes),
        current_device(),
        format_bytes(free_bytes),
        format_bytes(total_bytes)
    );
  }
  check(status, "cudaMalloc");
  Result<std::unique_ptr<DeviceBuffer>> buffer(
      std::unique_ptr<DeviceBuffer>(new DeviceBuffer(static_cast<std::byte*>(data), size_bytes))
  );
  check(cudaMemset(data, 0, allocated_size(size_bytes)), "cudaMemset");
  check(cudaStreamSynchronize(cudaStreamLegacy), "cudaStreamSynchronize");
  return buffer;
}

DeviceBuffer::~DeviceBuffer() {
  cudaFree(data());
}

Result<std::unique_ptr<PinnedBuffer>> PinnedBuffer::allocate(std::size_t size_bytes) {
  void* data = nullptr;
  const cudaError_t status = cudaMallocHost(&data, allocated_size(size_bytes));
  if (status == cudaErrorMemoryAllocation) {
    static_cast<void>(cudaGetLastError());
    return make_error(
        ErrorCode::kOutOfMemory, "cannot pin {} of the host's memory", format_bytes(size_bytes)
    );
  }
  check(status, "cudaMallocHost");
  return std::unique_ptr<PinnedBuffer>(new PinnedBuffer(static_cast<std::byte*>(data), size_bytes));
}

PinnedBuffer::~PinnedBuffer() {
  cudaFreeHost(data());
}

Stream make_stream() {
  cudaStream_t stream = nullptr;
  check(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking), "cudaStreamCreateWithFlags");
  return Stream(stream);
}

Event make_event() {
  cudaEvent_t event = nullptr;
  check(cudaEventCreate(&event), "cudaEventCreate");
  return Event(event);
}

float elapsed_ms(const Event& begin, const Event& end) {
  float milliseconds = 0;
  check(cudaEventElapsedTime(&milliseconds, begin.get(), end.get()), "cudaEventElapsedTime");
  return milliseconds;
}

void begin_recording(cudaStream_t stream) {
  check(cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal), "cudaStreamBeginCapture");
}

GraphExec end_recording(cudaStream_t stream) {
  cudaGraph_t recorded = nullptr;
  check(cudaStreamEndCapture(stream, &recorded), "cudaStreamEndCapture");
  const Graph graph(recorded);
  cudaGraphExec_t executable = nullptr;
  check(cudaGraphInstantiate(&executable, graph.get(), 0), "cudaGraphInstantiate");
  return GraphExec(executable);
}

}  // namespace gossamer::kernels::cuda
