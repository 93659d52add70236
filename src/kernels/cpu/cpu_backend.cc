#include "kernels/cpu/cpu_backend.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "kernels/cpu/elementwise.h"
#include "kernels/cpu/panel_matmul.h"
#include "kernels/cpu/read_bandwidth.h"
#include "kernels/host_indices.h"

namespace gossamer::kernels::cpu {
namespace {

// Weight rows a task: a multiple of every panel, about 370 kB of bf16 at the released width.
constexpr std::size_t kRowsPerTask = 64;
// A loop over fewer floats than this is not worth waking threads for.
constexpr std::int64_t kMinParallelFloats = 16384;
// Several times any last-level cache that we know of.
constexpr std::size_t kBandwidthBytes = std::size_t{2} << 30U;
constexpr int kBandwidthPasses = 4;

std::size_t num_chunks(std::size_t rows) {
  return (rows + kRowsPerTask - 1) / kRowsPerTask;
}

RowRange chunk_range(std::size_t chunk, std::size_t rows) {
  return {chunk * kRowsPerTask, std::min(rows, (chunk + 1) * kRowsPerTask)};
}

const BFloat16* bias_data(View bias) {
  return bias.empty() ? nullptr : bias.as<BFloat16>();
}

KvCells kv_cells(const KvLayer& kv) {
  const tensor::Shape& shape = kv.keys.shape();
  return {
      kv.keys, kv.values, static_cast<std::size_t>(shape[1]), static_cast<std::size_t>(shape[3])};
}

/// Row t of a rotation.
void rotate_row(View table, MutableView x, std::size_t t) {
  const auto heads = static_cast<std::size_t>(x.shape()[1]);
  const auto head_dim = static_cast<std::size_t>(x.shape()[2]);
  const float* cosines = table.as<float>() + t * head_dim;
  for (std::size_t head = 0; head < heads; ++head) {
    float* const row = x.as<float>() + (t * heads + head) * head_dim;
    rotate_head(cosines, cosines + head_dim / 2, head_dim / 2, row);
  }
}

/// Token t's keys and values to their slot.
void store_row(View k, View v, View slot_mapping, const KvCells& cells, std::size_t t) {
  const std::size_t stride = cells.num_kv_heads * cells.head_dim;
  const std::int32_t slot = slot_mapping.as<std::int32_t>()[t];
  cpu::store_kv(cells, slot, k.as<float>() + t * stride, v.as<float>() + t * stride);
}

/// The best of `logits`, highest first, ties to the lowest index.
void select_top(std::span<const float> logits, std::span<std::int32_t> ids) {
  std::size_t count = 0;
  for (std::size_t e = 0; e < logits.size(); ++e) {
    std::size_t place = count;
    while (place > 0 && logits[e] > logits[static_cast<std::size_t>(ids[place - 1])]) --place;
    if (place == ids.size()) continue;
    count = std::min(count + 1, ids.size());
    for (std::size_t j = count - 1; j > place; --j) ids[j] = ids[j - 1];
    ids[place] = static_cast<std::int32_t>(e);
  }
}

/// Token t's experts, and the softmax over their logits.
void route_row(
    View router_logits, MutableView expert_ids, MutableView expert_weights, std::size_t t
) {
  const auto num_experts = static_cast<std::size_t>(router_logits.shape()[1]);
  const auto per_token = static_cast<std::size_t>(expert_weights.shape()[1]);
  const std::span<const float> logits(router_logits.as<float>() + t * num_experts, num_experts);
  const std::span ids(expert_ids.as<std::int32_t>() + t * per_token, per_token);
  float* weights = expert_weights.as<float>() + t * per_token;
  select_top(logits, ids);
  float sum = 0;
  for (std::size_t j = 0; j < per_token; ++j) {
    const float best = logits[static_cast<std::size_t>(ids[0])];
    weights[j] = std::exp(logits[static_cast<std::size_t>(ids[j])] - best);
    sum += weights[j];
  }
  for (std::size_t j = 0; j < per_token; ++j) weights[j] /= sum;
}

}  // namespace

CpuBackend::CpuBackend(int num_threads, DType kv_dtype) : kv_dtype_(kv_dtype), pool_(num_threads) {
  GOSSAMER_CHECK(kv_dtype == DType::kF32 || kv_dtype == DType::kF16);
}

std::string CpuBackend::description() const {
  return fmt::format(
      "{}, {} thread{}", isa_name(), pool_.num_threads(), pool_.num_threads() == 1 ? "" : "s"
  );
}

Result<std::unique_ptr<tensor::Buffer>> CpuBackend::allocate(std::size_t size_bytes) {
  GOSSAMER_ASSIGN_OR_RETURN(auto buffer, tensor::HostBuffer::allocate(size_bytes));
  return std::unique_ptr<tensor::Buffer>(std::move(buffer));
}

Result<double> CpuBackend::measure_read_bandwidth() {
  return cpu::measure_read_bandwidth(pool_, kBandwidthBytes, kBandwidthPasses);
}

Status CpuBackend::reserve(const StepLimits& limits) {
  const auto tokens = static_cast<std::size_t>(limits.max_tokens);
  const auto outputs = tokens * static_cast<std::size_t>(limits.experts_per_token);
  const auto hidden = static_cast<std::size_t>(limits.hidden_size);
  const auto intermediate = static_cast<std::size_t>(limits.intermediate_size);
  x_rows_.resize(3 * std::max(tokens, outputs));
  y_rows_.resize(x_rows_.size());
  split_x_.resize(std::max(tokens * hidden, outputs * intermediate));
  tiles_.reserve(tokens);
  order_.resize(outputs);
  expert_starts_.resize(static_cast<std::size_t>(limits.num_experts) + 1);
  experts_.reserve(static_cast<std::size_t>(limits.num_experts));
  const auto group =
      static_cast<std::size_t>(limits.num_attention_heads / limits.num_key_value_heads);
  scratch_stride_ = std::max(panel_scratch_floats(), attention_scratch_floats(group));
  scratch_.resize(scratch_stride_ * static_cast<std::size_t>(pool_.num_threads()));
  return {};
}

float* CpuBackend::thread_scratch(int thread) {
  return scratch_.data() + static_cast<std::size_t>(thread) * scratch_stride_;
}

void CpuBackend::for_rows(std::int64_t rows, std::int64_t floats_per_row, TaskRef row) {
  if (rows * floats_per_row < kMinParallelFloats) {
    for (std::int64_t t = 0; t < rows; ++t) row(static_cast<std::size_t>(t), 0);
    return;
  }
  pool_.run(static_cast<std::size_t>(rows), row);
}

void CpuBackend::embed(View tokens, View embedding, MutableView x) {
  const std::int64_t hidden = embedding.shape()[1];
  float* out = x.as<float>();
  for (const std::int32_t token : host_indices(tokens)) {
    GOSSAMER_CHECK(0 <= token && token < embedding.shape()[0]);
    widen_row(embedding.as<BFloat16>() + token * hidden, static_cast<std::size_t>(hidden), out);
    out += hidden;
  }
}

void CpuBackend::rms_norm(View x, View scale, double eps, MutableView y) {
  const auto hidden = static_cast<std::size_t>(scale.shape()[0]);
  for_rows(x.shape()[0], scale.shape()[0], [&](std::size_t t, int) {
    rms_norm_row(
        x.as<float>() + t * hidden, scale.as<BFloat16>(), eps, hidden, y.as<float>() + t * hidden
    );
  });
}

void CpuBackend::multiply(std::span<const Product> products) {
  std::size_t num_tasks = 0;
  std::size_t next_row = 0;
  for (const Product& product : products) {
    num_tasks += num_chunks(static_cast<std::size_t>(product.layer.weight.shape()[0]));
    const tensor::Shape& shape = product.layer.weight.shape();
    const auto count = static_cast<std::size_t>(product.x.shape()[0]);
    for (std::size_t t = 0; t < count; ++t, ++next_row) {
      x_rows_[next_row] = product.x.as<float>() + t * static_cast<std::size_t>(shape[1]);
      y_rows_[next_row] = product.y.as<float>() + t * static_cast<std::size_t>(shape[0]);
    }
  }
  pool_.run(num_tasks, [&](std::size_t task, int thread) {
    std::size_t first_row = 0;
    for (const Product& product : products) {
      const auto rows = static_cast<std::size_t>(product.layer.weight.shape()[0]);
      const auto count = static_cast<std::size_t>(product.x.shape()[0]);
      if (task >= num_chunks(rows)) {
        task -= num_chunks(rows);
        first_row += count;
        continue;
      }
      const Bf16Matrix matrix{
          product.layer.weight.as<BFloat16>(),
          bias_data(product.layer.bias),
          static_cast<std::size_t>(product.layer.weight.shape()[1])};
      const Rows pointers{x_rows_.data() + first_row, y_rows_.data() + first_row, count};
      matmul_bf16(matrix, chunk_range(task, rows), pointers, product.store, thread_scratch(thread));
      return;
    }
  });
}

void CpuBackend::linear(View x, const Linear& layer, MutableView y) {
  const Product product{x, layer, y};
  multiply({&product, 1});
}

void CpuBackend::linear_add(View y, const Linear& layer, MutableView /*scratch*/, MutableView x) {
  const Product product{y, layer, x, Store::kAdd};
  multiply({&product, 1});
}

void CpuBackend::unembed(View x, View unembedding, MutableView logits) {
  linear(x, {unembedding, {}}, logits);
}

void CpuBackend::add(View y, MutableView x) {
  add_scaled_row(
      y.as<float>(), 1.0F, static_cast<std::size_t>(x.shape().num_elements()), x.as<float>()
  );
}

void CpuBackend::rope_table(View positions, const Rope& rope, MutableView table) {
  const std::size_t half = rope.inverse_frequencies.size();
  for_rows(positions.shape()[0], static_cast<std::int64_t>(64 * half), [&](std::size_t t, int) {
    const std::int32_t position = positions.as<std::int32_t>()[t];
    float* row = table.as<float>() + 2 * half * t;
    for (std::size_t i = 0; i < half; ++i) {
      const double angle = position * rope.inverse_frequencies[i];
      row[i] = static_cast<float>(std::cos(angle) * rope.concentration);
      row[half + i] = static_cast<float>(std::sin(angle) * rope.concentration);
    }
  });
}

void CpuBackend::rotate(View table, MutableView x) {
  for_rows(x.shape()[0], x.shape()[1] * x.shape()[2], [&](std::size_t t, int) {
    rotate_row(table, x, t);
  });
}

void CpuBackend::store_kv(View k, View v, View slot_mapping, const KvLayer& kv) {
  const KvCells cells = kv_cells(kv);
  for_rows(k.shape()[0], k.shape()[1] * k.shape()[2], [&](std::size_t t, int) {
    store_row(k, v, slot_mapping, cells, t);
  });
}

void CpuBackend::project_qkv(const QkvArgs& args) {
  rms_norm(args.x, args.norm, args.rms_norm_eps, args.normed);
  const std::array<Product, 3> products = {
      Product{args.normed, args.q_proj, args.q},
      Product{args.normed, args.k_proj, args.k},
      Product{args.normed, args.v_proj, args.v},
  };
  multiply(products);
  const KvCells cells = kv_cells(args.kv);
  const std::int64_t floats = args.q_proj.weight.shape()[0] + 4 * args.k_proj.weight.shape()[0];
  for_rows(args.x.shape()[0], floats, [&](std::size_t t, int) {
    rotate_row(args.rope_table, args.q, t);
    rotate_row(args.rope_table, args.k, t);
    store_row(args.k, args.v, args.slot_mapping, cells, t);
  });
}

void CpuBackend::attention(const AttentionArgs& args) {
  const AttentionBatch& batch = *args.batch;
  const KvCells cells = kv_cells(args.kv);
  const auto heads = static_cast<std::size_t>(args.q.shape()[1]);
  const std::size_t group = heads / cells.num_kv_heads;
  const std::int32_t* starts = batch.cu_seqlens_q.as<std::int32_t>();
  const std::int32_t* context_lens = batch.context_lens.as<std::int32_t>();
  tiles_.clear();
  for (int s = 0; s < batch.num_sequences; ++s) {
    const std::int32_t end = starts[s + 1];
    for (std::int32_t row = starts[s]; row < end;) {
      const std::int32_t count = std::min<std::int32_t>(end - row, kAttentionTileTokens);
      tiles_.push_back({s, row, count});
      row += count;
    }
  }
  pool_.run(tiles_.size() * cells.num_kv_heads, [&](std::size_t task, int thread) {
    const TileWork& work = tiles_[task / cells.num_kv_heads];
    const std::size_t kv_head = task % cells.num_kv_heads;
    const int s = work.sequence;
    const std::size_t offset =
        (static_cast<std::size_t>(work.first_row) * heads + kv_head * group) * cells.head_dim;
    attend(
        cells,
        {.q = args.q.as<float>() + offset,
         .out = args.out.as<float>() + offset,
         .token_stride = heads * cells.head_dim,
         .num_tokens = static_cast<std::size_t>(work.num_tokens),
         .group_size = group,
         .sinks = args.sinks.as<BFloat16>() + kv_head * group,
         .kv_head = kv_head,
         .position = context_lens[s] - (starts[s + 1] - work.first_row),
         .window = args.sliding_window,
         .block_table = host_block_table(batch, s)},
        thread_scratch(thread)
    );
  });
}

void CpuBackend::route(View router_logits, MutableView expert_ids, MutableView expert_weights) {
  for (std::size_t t = 0; t < static_cast<std::size_t>(router_logits.shape()[0]); ++t) {
    route_row(router_logits, expert_ids, expert_weights, t);
  }
}

void CpuBackend::group_by_expert(
    std::span<const std::int32_t> expert_ids, std::int64_t num_experts
) {
  // Counting sort; stable, though no result depends on the order.
  std::fill_n(expert_starts_.begin(), num_experts + 1, 0);
  for (const std::int32_t expert : expert_ids)
    ++expert_starts_[static_cast<std::size_t>(expert) + 1];
  experts_.clear();
  for (std::int32_t e = 0; e < num_experts; ++e) {
    const auto index = static_cast<std::size_t>(e);
    const std::size_t begin = expert_starts_[index];
    const std::size_t end = begin + expert_starts_[index + 1];
    if (end > begin) experts_.push_back({e, begin, end});
    expert_starts_[index + 1] = end;
  }
  for (std::size_t i = 0; i < expert_ids.size(); ++i) {
    order_[expert_starts_[static_cast<std::size_t>(expert_ids[i])]++] =
        static_cast<std::int32_t>(i);
  }
}

void CpuBackend::multiply_experts(const ExpertLinear& layer) {
  const auto rows = static_cast<std::size_t>(layer.weight.rows());
  const auto columns = static_cast<std::size_t>(layer.weight.columns());
  const std::size_t chunks = num_chunks(rows);
  pool_.run(experts_.size() * chunks, [&](std::size_t task, int thread) {
    const ExpertWork& work = experts_[task / chunks];
    const auto first = static_cast<std::size_t>(work.expert) * rows;
    const Mxfp4Matrix matrix{
        layer.weight.blocks.as<std::uint8_t>() + first * columns / 2,
        layer.weight.scales.as<std::uint8_t>() + first * (columns / tensor::kMxfp4BlockValues),
        layer.bias.empty() ? nullptr : layer.bias.as<BFloat16>() + first,
        columns};
    const Rows pointers{
        x_rows_.data() + work.begin, y_rows_.data() + work.begin, work.end - work.begin};
    matmul_mxfp4(
        matrix, chunk_range(task % chunks, rows), pointers, Store::kAssign, thread_scratch(thread)
    );
  });
}

void CpuBackend::expert_linear(View x, View expert_ids, const ExpertLinear& layer, MutableView y) {
  const std::span<const std::int32_t> ids = host_indices(expert_ids);
  const auto rows = static_cast<std::size_t>(layer.weight.rows());
  const auto columns = static_cast<std::size_t>(layer.weight.columns());
  const std::size_t outputs_per_row = ids.size() / static_cast<std::size_t>(x.shape()[0]);
  for_rows(x.shape()[0], layer.weight.columns(), [&](std::size_t t, int) {
    split_blocks(x.as<float>() + t * columns, columns, split_x_.data() + t * columns);
  });
  group_by_expert(ids, layer.weight.num_matrices());
  for (std::size_t i = 0; i < ids.size(); ++i) {
    const auto output = static_cast<std::size_t>(order_[i]);
    x_rows_[i] = split_x_.data() + output / outputs_per_row * columns;
    y_rows_[i] = y.as<float>() + output * rows;
  }
  multiply_experts(layer);
}

void CpuBackend::moe(const MoeArgs& args) {
  const auto hidden = static_cast<std::size_t>(args.x.shape()[1]);
  const auto size = static_cast<std::size_t>(args.hidden.shape()[1]);
  choose_experts(args);
  const std::span<const std::int32_t> ids = host_indices(args.expert_ids);
  const std::size_t per_token = ids.size() / static_cast<std::size_t>(args.x.shape()[0]);
  // Between the two products rows are in the experts' order: a thread's part of them is that of
  // the experts whose weights it multiplies, and mostly in its own cache.
  for (std::size_t i = 0; i < ids.size(); ++i) {
    x_rows_[i] = split_x_.data() + static_cast<std::size_t>(order_[i]) / per_token * hidden;
    y_rows_[i] = args.gate_up_out.as<float>() + i * 2 * size;
  }
  multiply_experts(args.gate_up);
  for_rows(args.hidden.shape()[0], args.hidden.shape()[1] * 4, [&](std::size_t i, int) {
    const auto limit = static_cast<float>(args.swiglu_limit);
    float* const row = args.hidden.as<float>() + i * size;
    swiglu_row(args.gate_up_out.as<float>() + i * 2 * size, limit, size, row);
    split_blocks(row, size, split_x_.data() + i * size);
  });
  for (std::size_t i = 0; i < ids.size(); ++i) {
    x_rows_[i] = split_x_.data() + i * size;
    y_rows_[i] = args.down_out.as<float>() + static_cast<std::size_t>(order_[i]) * hidden;
  }
  multiply_experts(args.down);
  combine_experts(args.down_out, args.expert_weights, args.x);
}

void CpuBackend::choose_experts(const MoeArgs& args) {
  const auto hidden = static_cast<std::size_t>(args.x.shape()[1]);
  const auto num_experts = static_cast<std::size_t>(args.router.weight.shape()[0]);
  const Bf16Matrix router{args.router.weight.as<BFloat16>(), bias_data(args.router.bias), hidden};
  // A float of the router costs about a quarter of one that the other operations pass.
  const std::int64_t floats = args.router.weight.shape().num_elements() / 4;
  for_rows(args.x.shape()[0], floats, [&](std::size_t t, int thread) {
    float* const row = args.normed.as<float>() + t * hidden;
    rms_norm_row(
        args.x.as<float>() + t * hidden, args.norm.as<BFloat16>(), args.rms_norm_eps, hidden, row
    );
    const float* const x = row;
    float* const logits = args.router_logits.as<float>() + t * num_experts;
    matmul_bf16(router, {0, num_experts}, {&x, &logits, 1}, Store::kAssign, thread_scratch(thread));
    route_row(args.router_logits, args.expert_ids, args.expert_weights, t);
    split_blocks(row, hidden, split_x_.data() + t * hidden);
  });
  group_by_expert(host_indices(args.expert_ids), args.gate_up.weight.num_matrices());
}

void CpuBackend::swiglu(View x, double limit, MutableView y) {
  const auto size = static_cast<std::size_t>(y.shape()[1]);
  for_rows(y.shape()[0], y.shape()[1] * 4, [&](std::size_t i, int) {
    swiglu_row(
        x.as<float>() + i * 2 * size, static_cast<float>(limit), size, y.as<float>() + i * size
    );
  });
}

void CpuBackend::combine_experts(View y, View weights, MutableView x) {
  const auto hidden = static_cast<std::size_t>(x.shape()[1]);
  const auto per_token = static_cast<std::size_t>(weights.shape()[1]);
  for_rows(x.shape()[0], x.shape()[1] * weights.shape()[1], [&](std::size_t t, int) {
    for (std::size_t j = 0; j < per_token; ++j) {
      const std::size_t i = t * per_token + j;
      add_scaled_row(
          y.as<float>() + i * hidden, weights.as<float>()[i], hidden, x.as<float>() + t * hidden
      );
    }
  });
}

void CpuBackend::gather_rows(View x, View rows, MutableView out) {
  const std::int64_t width = x.shape()[1];
  float* to = out.as<float>();
  for (const std::int32_t row : host_indices(rows)) {
    to = std::copy_n(x.as<float>() + row * width, width, to);
  }
}

}  // namespace gossamer::kernels::cpu
