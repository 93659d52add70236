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

using Backend = std::unique_ptr<kernels::Backend>;

/// The CUDA backend, or null; says why not where a machine looks as if it could have one.
Backend try_cuda(const ModelFlags& flags) {
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

Result<Backend> make_backend(const ModelFlags& flags) {
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
  const auto kv_dtype = flags.kv_cache_dtype == "f32" ? kernels::DType::kF32 : kernels::DType::kF16;
  return Backend(std::make_unique<kernels::cpu::CpuBackend>(threads, kv_dtype));
}

}  // namespace

Result<Backend> choose_backend(const ModelFlags& flags) {
  GOSSAMER_ASSIGN_OR_RETURN(Backend backend, make_backend(flags));
  if (flags.kv_cache_dtype == "auto" || backend->name() == "cpu") return backend;
  return make_error(
      ErrorCode::kUnsupported,
      "--kv-cache-dtype {}: the {} backend's cache is always {}; leave the flag out, or ask for "
      "--backend cpu",
      flags.kv_cache_dtype,
      backend->name(),
      name_of(backend->kv_dtype())
  );
}

}  // namespace gossamer::apps
