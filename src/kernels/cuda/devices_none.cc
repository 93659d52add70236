#include "kernels/cuda/devices.h"

namespace gossamer::kernels::cuda {

std::string cuda_version() {
  return "";
}

Result<std::vector<CudaDevice>> list_cuda_devices() {
  return make_error(
      ErrorCode::kUnsupported, "built without CUDA; install the CUDA toolkit and build again"
  );
}

}  // namespace gossamer::kernels::cuda
