// Reads a buffer once: a block has chunks of it, a warp reads 512 consecutive bytes at a time, and
// each thread has eight loads on their way. Bound by memory, which is the point.

#include <algorithm>
#include <vector>

#include "kernels/cuda/memory.cuh"
#include "kernels/cuda/read_bandwidth.h"

namespace gossamer::kernels::cuda {
namespace {

constexpr int kThreads = 512;
constexpr int kLoads = 8;
constexpr std::size_t kChunkBytes = std::size_t{kThreads} * kLoads * sizeof(uint4);
constexpr int kBlocksPerMultiprocessor = 4;

__global__ void __launch_bounds__(kThreads)
    read_kernel(const uint4* data, std::size_t num_chunks, unsigned* out) {
  unsigned sum = 0;
  for (std::size_t chunk = blockIdx.x; chunk < num_chunks; chunk += gridDim.x) {
    const uint4* from = data + chunk * (kThreads * kLoads) + threadIdx.x;
    uint4 values[kLoads];
#pragma unroll
    for (int i = 0; i < kLoads; ++i) values[i] = __ldcs(from + i * kThreads);
#pragma unroll
    for (int i = 0; i < kLoads; ++i) sum += values[i].x ^ values[i].y ^ values[i].z ^ values[i].w;
  }
  if (sum == 1) *out = sum;  // never, of zeros; keeps the loads
}

}  // namespace

Result<double> measure_read_bandwidth(int device, std::size_t size_bytes, int passes) {
  check(cudaSetDevice(device), "cudaSetDevice");
  const std::size_t num_chunks = std::max<std::size_t>(size_bytes / kChunkBytes, 1);
  GOSSAMER_ASSIGN_OR_RETURN(const auto data, DeviceBuffer::allocate(num_chunks * kChunkBytes));
  GOSSAMER_ASSIGN_OR_RETURN(const auto out, DeviceBuffer::allocate(sizeof(unsigned)));
  int multiprocessors = 0;
  check(
      cudaDeviceGetAttribute(&multiprocessors, cudaDevAttrMultiProcessorCount, device),
      "cudaDeviceGetAttribute"
  );
  const Stream stream = make_stream();
  const Event begin = make_event();
  const Event end = make_event();
  std::vector<double> rates;
  for (int pass = 0; pass < std::max(passes, 1); ++pass) {
    check(cudaEventRecord(begin.get(), stream.get()), "cudaEventRecord");
    read_kernel<<<multiprocessors * kBlocksPerMultiprocessor, kThreads, 0, stream.get()>>>(
        reinterpret_cast<const uint4*>(data->data()),
        num_chunks,
        reinterpret_cast<unsigned*>(out->data())
    );
    check(cudaGetLastError(), "read_kernel");
    check(cudaEventRecord(end.get(), stream.get()), "cudaEventRecord");
    check(cudaEventSynchronize(end.get()), "cudaEventSynchronize");
    rates.push_back(static_cast<double>(num_chunks * kChunkBytes) / elapsed_ms(begin, end) * 1e3);
  }
  std::nth_element(rates.begin(), rates.begin() + rates.size() / 2, rates.end());
  return rates[rates.size() / 2];
}

}  // namespace gossamer::kernels::cuda
