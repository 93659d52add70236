#include <fmt/format.h>

#include <algorithm>
#include <stdexcept>
#include <utility>

#include "kernels/cuda/attention.cuh"
#include "kernels/cuda/cuda_backend.cuh"
#include "kernels/cuda/cuda_backend.h"
#include "kernels/cuda/read_bandwidth.h"
#include "kernels/cuda/weight_loader.cuh"

namespace gossamer::kernels::cuda {
namespace {

// mma of bf16, cp.async.
constexpr int kLeastComputeMajor = 8;

constexpr std::uint64_t kReadBytes = std::uint64_t{8} << 30U;
constexpr int kReadPasses = 11;

int qkv_rows(const StepLimits& limits) {
  return (limits.num_attention_heads + 2 * limits.num_key_value_heads) * limits.head_dim;
}

std::int64_t max_expert_pairs(const StepLimits& limits) {
  return std::int64_t{limits.max_tokens} * limits.experts_per_token;
}

std::size_t qkv_bytes(const StepLimits& limits) {
  return static_cast<std::size_t>(limits.max_tokens) * static_cast<std::size_t>(qkv_rows(limits)) *
         tensor::size_of(DType::kBF16);
}

std::size_t logits_bytes(const StepLimits& limits) {
  return static_cast<std::size_t>(limits.max_logit_rows) *
         static_cast<std::size_t>(limits.vocab_size) * tensor::size_of(DType::kF32);
}

}  // namespace

CudaBackend::CudaBackend(const CudaDevice& device, int num_multiprocessors)
    : device_(device), num_multiprocessors_(num_multiprocessors) {
  check(cudaSetDevice(device_.ordinal), "cudaSetDevice");
  stream_ = make_stream();
}

CudaBackend::~CudaBackend() {
  // Nothing may be freed under operations that still run. A device that failed has none.
  static_cast<void>(cudaSetDevice(device_.ordinal));
  static_cast<void>(cudaStreamSynchronize(stream_.get()));
}

std::string CudaBackend::description() const {
  return fmt::format(
      "{}, {} SMs, {:.1f} GiB, CUDA {}",
      device_.name,
      num_multiprocessors_,
      static_cast<double>(device_.memory_bytes) / (1U << 30U),
      cuda_version()
  );
}

void CudaBackend::use_device() const {
  check(cudaSetDevice(device_.ordinal), "cudaSetDevice");
}

cudaStream_t CudaBackend::stream() const {
  use_device();
  return stream_.get();
}

Result<std::unique_ptr<tensor::Buffer>> CudaBackend::allocate(std::size_t size_bytes) {
  use_device();
  recordings_.forget();  // the new memory may be at addresses that they hold
  GOSSAMER_ASSIGN_OR_RETURN(auto buffer, DeviceBuffer::allocate(size_bytes));
  return std::unique_ptr<tensor::Buffer>(std::move(buffer));
}

std::optional<std::uint64_t> CudaBackend::free_memory_bytes() const {
  use_device();
  std::size_t free_bytes = 0;
  std::size_t total_bytes = 0;
  check(cudaMemGetInfo(&free_bytes, &total_bytes), "cudaMemGetInfo");
  return free_bytes;
}

Result<ResidentWeights> CudaBackend::load(const Weights& host, const LoadProgress& progress) {
  use_device();
  recordings_.forget();
  return load_weights(host, progress);
}

View CudaBackend::read(View from) {
  const cudaStream_t in = stream();
  if (read_ == nullptr || read_->size_bytes() < from.size_bytes()) {
    auto larger = PinnedBuffer::allocate(from.size_bytes());
    if (!larger.ok()) throw std::runtime_error(larger.error().message);
    read_ = std::move(larger).value();
  }
  check(
      cudaMemcpyAsync(read_->data(), from.data(), from.size_bytes(), cudaMemcpyDeviceToHost, in),
      "cudaMemcpyAsync"
  );
  check(cudaStreamSynchronize(in), "cudaStreamSynchronize");
  return read_->view(0, from.dtype(), from.shape());
}

void CudaBackend::copy(View from, MutableView to) {
  check(
      cudaMemcpyAsync(
          to.data(), from.data(), from.size_bytes(), cudaMemcpyDeviceToDevice, stream()
      ),
      "cudaMemcpyAsync"
  );
}

void CudaBackend::synchronize() {
  check(cudaStreamSynchronize(stream()), "cudaStreamSynchronize");
}

Result<double> CudaBackend::measure_read_bandwidth() {
  const std::uint64_t size_bytes = std::min(kReadBytes, free_memory_bytes().value_or(0) / 2);
  return cuda::measure_read_bandwidth(device_.ordinal, size_bytes, kReadPasses);
}

Result<CudaBackend::Scratch> CudaBackend::make_scratch(
    const StepLimits& limits, int num_multiprocessors
) {
  Scratch scratch;
  GOSSAMER_ASSIGN_OR_RETURN(scratch.products, DeviceBuffer::allocate(gemm_scratch_bytes()));
  GOSSAMER_ASSIGN_OR_RETURN(
      scratch.attention,
      DeviceBuffer::allocate(attention_scratch_bytes(
          {.max_sequences = limits.max_sequences,
           .max_context_len = limits.max_context,
           .num_heads = limits.num_attention_heads,
           .num_kv_heads = limits.num_key_value_heads,
           .num_multiprocessors = num_multiprocessors}
      ))
  );
  GOSSAMER_ASSIGN_OR_RETURN(
      scratch.groups,
      DeviceBuffer::allocate(expert_groups_bytes(max_expert_pairs(limits), limits.num_experts))
  );
  GOSSAMER_ASSIGN_OR_RETURN(scratch.qkv, DeviceBuffer::allocate(qkv_bytes(limits)));
  GOSSAMER_ASSIGN_OR_RETURN(scratch.upload, StepUpload::create(limits));
  if (0 < limits.vocab_size && limits.vocab_size <= kMaxSampleVocab) {
    GOSSAMER_ASSIGN_OR_RETURN(
        scratch.sampler,
        DeviceSampler::create({.max_rows = limits.max_logit_rows, .vocab_size = limits.vocab_size})
    );
  }
  return Result<Scratch>(std::move(scratch));
}

Status CudaBackend::reserve(const StepLimits& limits) {
  use_device();
  recordings_.forget();
  scratch_ = {};
  GOSSAMER_ASSIGN_OR_RETURN(scratch_, make_scratch(limits, num_multiprocessors_));
  GOSSAMER_ASSIGN_OR_RETURN(scratch_.decode, PersistentDecode::create(limits, device_.ordinal));
  GOSSAMER_ASSIGN_OR_RETURN(read_, PinnedBuffer::allocate(logits_bytes(limits)));
  limits_ = limits;
  return {};
}

Step CudaBackend::begin_step(const StepInputs& inputs) {
  return scratch_.upload.value().begin(inputs, stream());
}

void CudaBackend::run(const Step& step, const std::function<void()>& ops) {
  recordings_.run(step, stream(), ops);
}

bool CudaBackend::forward(const ForwardArgs& args) {
  if (!scratch_.decode || !PersistentDecode::fits(*args.step)) return false;
  scratch_.decode->run(args, stream());
  return true;
}

bool CudaBackend::can_sample(const SampleRow& row) const {
  return scratch_.sampler != nullptr && scratch_.sampler->can_sample(row);
}

void CudaBackend::sample(
    View logits, std::span<const SampleRow> rows, std::span<SampleResult> out
) {
  scratch_.sampler->sample(logits, rows, out, stream());
}

Result<std::unique_ptr<Backend>> create_cuda_backend(const CudaOptions& options) {
  GOSSAMER_ASSIGN_OR_RETURN(const std::vector<CudaDevice> devices, list_cuda_devices());
  const auto index = static_cast<std::size_t>(options.device);
  if (options.device < 0 || index >= devices.size()) {
    return make_error(
        ErrorCode::kInvalidArgument,
        "there is no CUDA device {}; this machine has 0 to {}",
        options.device,
        devices.size() - 1
    );
  }
  const CudaDevice& device = devices[index];
  if (device.compute_major < kLeastComputeMajor) {
    return make_error(
        ErrorCode::kUnsupported,
        "device {} ({}) has compute capability {}.{}, and gossamer needs {}.0",
        device.ordinal,
        device.name,
        device.compute_major,
        device.compute_minor,
        kLeastComputeMajor
    );
  }
  int num_multiprocessors = 0;
  check(
      cudaDeviceGetAttribute(&num_multiprocessors, cudaDevAttrMultiProcessorCount, device.ordinal),
      "cudaDeviceGetAttribute"
  );
  return std::unique_ptr<Backend>(std::make_unique<CudaBackend>(device, num_multiprocessors));
}

}  // namespace gossamer::kernels::cuda
