#include "apps/gossamer/backend_choice.h"

#include <fmt/format.h>

#include <utility>

#include "base/terminal.h"
#include "base/thread_pool.h"
#include "kernels/cpu/cpu_backend.h"
#include "kernels/cuda/cuda_backend.h"
#include "kernels/cuda/devices.h"
#include "kernels/reference/reference_backend.h"

namespace gossamer::apps {
namespace {

/// The CUDA backend, or null; says why not where a machine looks as if it could have one.
std::unique_ptr<kernels::Backend> try_cuda(const ModelFlags& flags) {
  if (kernels::cuda::cuda_version().empty()) return nullptr;
  auto backend = kernels::cuda::create_cuda_backend({.device = flags.device});
  if (backend.ok()) return std::move(backend).value();
  const Error& error = backend.error();
  if (error.code != ErrorCode::kNotFound) {
    const auto line = fmt::format("using the CPU: {}", error.message);
    fmt::print(stderr, "{}\n", styled(line, Style::kDim, is_terminal(stderr)));
  }
  return nullptr;
}

}  // namespace

Result<std::unique_ptr<kernels::Backend>> choose_backend(const ModelFlags& flags) {
  using Backend = std::unique_ptr<kernels::Backend>;
  if (flags.backend == "cuda") {
    return kernels::cuda::create_cuda_backend({.device = flags.device});
  }
  if (flags.backend == "reference") {
    return Backend(std::make_unique<kernels::reference::ReferenceBackend>());
  }
  if (flags.backend == "auto") {
    if (Backend cuda = try_cuda(flags)) return cuda;
  }
  const int threads = flags.threads > 0 ? flags.threads : available_cores();
  return Backend(std::make_unique<kernels::cpu::CpuBackend>(threads));
}

}  // namespace gossamer::apps
