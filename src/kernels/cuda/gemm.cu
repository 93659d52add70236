// A product on the kernel that its extents and the device call for.

#include "kernels/cuda/gemm.cuh"
#include "kernels/cuda/gemm_kernels.cuh"
#include "kernels/cuda/memory.cuh"

namespace gossamer::kernels::cuda {

GemmDevice gemm_device() {
  int device = 0;
  check(cudaGetDevice(&device), "cudaGetDevice");
  GemmDevice limits;
  check(
      cudaDeviceGetAttribute(&limits.num_multiprocessors, cudaDevAttrMultiProcessorCount, device),
      "cudaDeviceGetAttribute"
  );
  check(
      cudaDeviceGetAttribute(
          &limits.shared_bytes_per_block, cudaDevAttrMaxSharedMemoryPerBlockOptin, device
      ),
      "cudaDeviceGetAttribute"
  );
  int compute_major = 0;
  check(
      cudaDeviceGetAttribute(&compute_major, cudaDevAttrComputeCapabilityMajor, device),
      "cudaDeviceGetAttribute"
  );
  limits.has_bulk_copies = compute_major >= 9;
  return limits;
}

void launch_gemm(const GemmArgs& args, cudaStream_t stream) {
  if (args.num_tokens == 0) return;
  const GemmPlan plan = plan_gemm({args.num_tokens, args.rows, args.columns}, gemm_device());
  if (tokens_of(plan.tile) <= tokens_of(GemmTile::kStream16)) {
    launch_gemm_stream(args, plan, stream);
  } else {
    launch_gemm_tiled(args, plan, stream);
  }
}

}  // namespace gossamer::kernels::cuda
