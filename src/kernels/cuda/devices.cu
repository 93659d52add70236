#include <cuda_runtime_api.h>

#include "kernels/cuda/devices.h"

namespace gossamer::kernels::cuda {
namespace {

/// 13000 as "13.0", the way the runtime and the driver number themselves.
std::string version_text(int version) {
  return fmt::format("{}.{}", version / 1000, version % 1000 / 10);
}

Error no_device(cudaError_t status) {
  if (status == cudaErrorInsufficientDriver) {
    int driver = 0;
    if (cudaDriverGetVersion(&driver) != cudaSuccess || driver == 0) {
      return make_error(
          ErrorCode::kNotFound, "no NVIDIA driver on this machine (libcuda.so.1 is not found)"
      );
    }
    return make_error(
        ErrorCode::kUnsupported,
        "the NVIDIA driver is for CUDA {}, older than the {} that gossamer was built with; update "
        "it",
        version_text(driver),
        cuda_version()
    );
  }
  if (status == cudaErrorNoDevice) {
    return make_error(ErrorCode::kNotFound, "the NVIDIA driver shows no device");
  }
  return make_error(ErrorCode::kIo, "the CUDA runtime says: {}", cudaGetErrorString(status));
}

}  // namespace

std::string cuda_version() {
  return version_text(CUDART_VERSION);
}

Result<std::vector<CudaDevice>> list_cuda_devices() {
  int count = 0;
  const cudaError_t counted = cudaGetDeviceCount(&count);
  if (counted != cudaSuccess) return no_device(counted);
  if (count == 0) return no_device(cudaErrorNoDevice);
  std::vector<CudaDevice> devices;
  for (int ordinal = 0; ordinal < count; ++ordinal) {
    cudaDeviceProp properties{};
    const cudaError_t status = cudaGetDeviceProperties(&properties, ordinal);
    if (status != cudaSuccess) return no_device(status);
    devices.push_back({
        .ordinal = ordinal,
        .name = properties.name,
        .compute_major = properties.major,
        .compute_minor = properties.minor,
        .memory_bytes = properties.totalGlobalMem,
    });
  }
  return devices;
}

}  // namespace gossamer::kernels::cuda
