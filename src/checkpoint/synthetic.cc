#include "checkpoint/synthetic.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "base/available_memory.h"
#include "base/terminal.h"
#include "checkpoint/weight_schema.h"

namespace gossamer::checkpoint {
namespace {

// Work is handed out in pieces of this size: small beside a tensor, large beside a task's cost.
constexpr std::size_t kPieceBytes = 1 << 20;
// Tensors start at multiples of this, as kernels like them to.
constexpr std::size_t kAlignment = 256;

std::size_t aligned(std::size_t bytes) {
  return (bytes + kAlignment - 1) / kAlignment * kAlignment;
}

Status check_memory(std::uint64_t needed, std::string_view name) {
  const auto available = available_memory_bytes();
  if (!available || needed <= *available) return {};
  return make_error(
      ErrorCode::kOutOfMemory,
      "{} needs {} of memory, and {} is available; choose a smaller one, as in "
      "synthetic:20b,layers=4",
      name,
      format_bytes(needed),
      format_bytes(*available)
  );
}

}  // namespace

void generate_in_parallel(
    const WeightGenerator& generator,
    std::uint64_t offset_bytes,
    std::span<std::byte> out,
    ThreadPool& pool
) {
  const std::size_t num_pieces = (out.size() + kPieceBytes - 1) / kPieceBytes;
  pool.run(num_pieces, [&](std::size_t piece, int) {
    const std::size_t begin = piece * kPieceBytes;
    const std::size_t size = std::min(kPieceBytes, out.size() - begin);
    generator.generate(offset_bytes + begin, out.subspan(begin, size));
  });
}

Result<SyntheticModel> make_synthetic_model(
    const SyntheticSpec& spec,
    ThreadPool& pool,
    std::string_view name,
    const ProgressCallback& on_progress
) {
  const std::vector<WeightSpec> schema = weight_schema(spec.config);
  std::size_t total = 0;
  for (const WeightSpec& tensor : schema) total += aligned(tensor.size_bytes());
  GOSSAMER_RETURN_IF_ERROR(check_memory(total, name));
  SyntheticModel model;
  GOSSAMER_ASSIGN_OR_RETURN(model.buffer, tensor::HostBuffer::allocate(total));
  model.weights.layers.resize(static_cast<std::size_t>(spec.config.num_hidden_layers));
  std::size_t offset = 0;
  for (const WeightSpec& tensor : schema) {
    const WeightGenerator generator(tensor, spec.config, spec.seed);
    generate_in_parallel(generator, 0, {model.buffer->data() + offset, tensor.size_bytes()}, pool);
    slot(model.weights, tensor.part, tensor.layer) =
        model.buffer->view(offset, tensor.dtype, tensor.shape);
    offset += aligned(tensor.size_bytes());
    if (on_progress) on_progress(offset, total);
  }
  return model;
}

}  // namespace gossamer::checkpoint
