#include "kernels/cuda/cuda_backend.h"
#include "kernels/cuda/devices.h"

namespace gossamer::kernels::cuda {

Result<std::unique_ptr<Backend>> create_cuda_backend(const CudaOptions& /*options*/) {
  return list_cuda_devices().error();
}

}  // namespace gossamer::kernels::cuda
