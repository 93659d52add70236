#include "kernels/cuda/read_bandwidth.h"

namespace gossamer::kernels::cuda {

Result<double> measure_read_bandwidth(int /*device*/, std::size_t /*size_bytes*/, int /*passes*/) {
  return make_error(
      ErrorCode::kUnsupported, "built without CUDA; install the CUDA toolkit and build again"
  );
}

}  // namespace gossamer::kernels::cuda
