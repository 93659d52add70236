#include "kernels/reference/reference_backend.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

#include "kernels/host_indices.h"
#include "tensor/mxfp4.h"

namespace gossamer::kernels::reference {
namespace {

using tensor::BFloat16;

constexpr double kSwigluAlpha = 1.702;

double dot(const BFloat16* row, const double* x, std::int64_t size) {
  double sum = 0;
  for (std::int64_t i = 0; i < size; ++i) sum += static_cast<double>(row[i].to_float()) * x[i];
  return sum;
}

double bias_at(View bias, std::int64_t index) {
  return bias.empty() ? 0.0 : static_cast<double>(bias.as<BFloat16>()[index].to_float());
}

/// The dot product of x with one row of one matrix of an MXFP4 stack.
double dot_mxfp4(
    const tensor::Mxfp4View& weight, std::int64_t matrix, std::int64_t row, const double* x
) {
  const std::int64_t num_blocks = weight.scales.shape()[2];
  const std::int64_t first = (matrix * weight.rows() + row) * num_blocks;
  double sum = 0;
  for (std::int64_t block = 0; block < num_blocks; ++block) {
    std::array<double, tensor::kMxfp4BlockValues> values;
    const std::uint8_t* bytes =
        weight.blocks.as<std::uint8_t>() + (first + block) * tensor::kMxfp4BlockBytes;
    tensor::decode_mxfp4_block(
        std::span<const std::uint8_t, tensor::kMxfp4BlockBytes>(bytes, tensor::kMxfp4BlockBytes),
        weight.scales.as<std::uint8_t>()[first + block],
        values
    );
    for (std::size_t i = 0; i < values.size(); ++i) {
      sum += values[i] * x[block * tensor::kMxfp4BlockValues + static_cast<std::int64_t>(i)];
    }
  }
  return sum;
}

/// Offset of position `slot`'s vector of a head in a KV buffer of shape
/// [num_blocks, num_key_value_heads, kBlockSize, head_dim].
std::int64_t kv_offset(const tensor::Shape& shape, std::int64_t slot, std::int64_t head) {
  const std::int64_t block = slot / kBlockSize;
  const std::int64_t offset = slot % kBlockSize;
  return ((block * shape[1] + head) * kBlockSize + offset) * shape[3];
}

std::int64_t slot_of(std::span<const BlockId> block_table, std::int64_t position) {
  const BlockId block = block_table[static_cast<std::size_t>(position / kBlockSize)];
  GOSSAMER_CHECK(block != kNoBlock);
  return std::int64_t{block} * kBlockSize + position % kBlockSize;
}

/// One query's place: which row of the step, which head, and the keys it sees, [first, last].
struct Query {
  std::int64_t row;
  std::int64_t head;
  std::int64_t first;
  std::int64_t last;
  std::span<const BlockId> block_table;
};

void attend(const AttentionArgs& args, const Query& query, std::span<double> scores) {
  const std::int64_t heads = args.q.shape()[1];
  const std::int64_t head_dim = args.q.shape()[2];
  const tensor::Shape& kv_shape = args.kv.keys.shape();
  const std::int64_t kv_head = query.head / (heads / kv_shape[1]);
  const double* q = args.q.as<double>() + (query.row * heads + query.head) * head_dim;
  double* out = args.out.as<double>() + (query.row * heads + query.head) * head_dim;

  const auto sink = static_cast<double>(args.sinks.as<BFloat16>()[query.head].to_float());
  double largest = sink;
  for (std::int64_t j = query.first; j <= query.last; ++j) {
    const double* key =
        args.kv.keys.as<double>() + kv_offset(kv_shape, slot_of(query.block_table, j), kv_head);
    double score = 0;
    for (std::int64_t d = 0; d < head_dim; ++d) score += q[d] * key[d];
    score /= std::sqrt(static_cast<double>(head_dim));
    scores[static_cast<std::size_t>(j)] = score;
    largest = std::max(largest, score);
  }
  double denominator = std::exp(sink - largest);
  std::fill_n(out, head_dim, 0.0);
  for (std::int64_t j = query.first; j <= query.last; ++j) {
    const double p = std::exp(scores[static_cast<std::size_t>(j)] - largest);
    denominator += p;
    const double* value =
        args.kv.values.as<double>() + kv_offset(kv_shape, slot_of(query.block_table, j), kv_head);
    for (std::int64_t d = 0; d < head_dim; ++d) out[d] += p * value[d];
  }
  for (std::int64_t d = 0; d < head_dim; ++d) out[d] /= denominator;
}

}  // namespace

Result<std::unique_ptr<tensor::Buffer>> ReferenceBackend::allocate(std::size_t size_bytes) {
  GOSSAMER_ASSIGN_OR_RETURN(auto buffer, tensor::HostBuffer::allocate(size_bytes));
  return std::unique_ptr<tensor::Buffer>(std::move(buffer));
}

Status ReferenceBackend::reserve(const StepLimits& limits) {
  scores_.resize(static_cast<std::size_t>(limits.max_context));
  return {};
}

void ReferenceBackend::embed(View tokens, View embedding, MutableView x) {
  const std::int64_t hidden = embedding.shape()[1];
  double* out = x.as<double>();
  for (const std::int32_t token : host_indices(tokens)) {
    GOSSAMER_CHECK(0 <= token && token < embedding.shape()[0]);
    const BFloat16* row = embedding.as<BFloat16>() + token * hidden;
    for (std::int64_t i = 0; i < hidden; ++i) *out++ = static_cast<double>(row[i].to_float());
  }
}

void ReferenceBackend::rms_norm(View x, View scale, double eps, MutableView y) {
  const std::int64_t hidden = scale.shape()[0];
  for (std::int64_t t = 0; t < x.shape()[0]; ++t) {
    const double* in = x.as<double>() + t * hidden;
    double* out = y.as<double>() + t * hidden;
    double sum = 0;
    for (std::int64_t i = 0; i < hidden; ++i) sum += in[i] * in[i];
    const double factor = 1.0 / std::sqrt(sum / static_cast<double>(hidden) + eps);
    for (std::int64_t i = 0; i < hidden; ++i) {
      out[i] = in[i] * factor * static_cast<double>(scale.as<BFloat16>()[i].to_float());
    }
  }
}

void ReferenceBackend::linear(View x, const Linear& layer, MutableView y) {
  const std::int64_t rows = layer.weight.shape()[0];
  const std::int64_t columns = layer.weight.shape()[1];
  for (std::int64_t t = 0; t < x.shape()[0]; ++t) {
    for (std::int64_t r = 0; r < rows; ++r) {
      y.as<double>()[t * rows + r] =
          dot(layer.weight.as<BFloat16>() + r * columns, x.as<double>() + t * columns, columns) +
          bias_at(layer.bias, r);
    }
  }
}

void ReferenceBackend::add(View y, MutableView x) {
  for (std::int64_t i = 0; i < x.shape().num_elements(); ++i)
    x.as<double>()[i] += y.as<double>()[i];
}

void ReferenceBackend::rope_table(View positions, const Rope& rope, MutableView table) {
  const std::size_t half = rope.inverse_frequencies.size();
  double* row = table.as<double>();
  for (const std::int32_t position : host_indices(positions)) {
    for (std::size_t i = 0; i < half; ++i) {
      const double angle = position * rope.inverse_frequencies[i];
      row[i] = std::cos(angle) * rope.concentration;
      row[half + i] = std::sin(angle) * rope.concentration;
    }
    row += 2 * half;
  }
}

void ReferenceBackend::rotate(View table, MutableView x) {
  const std::int64_t heads = x.shape()[1];
  const std::int64_t half = x.shape()[2] / 2;
  for (std::int64_t t = 0; t < x.shape()[0]; ++t) {
    const double* cosines = table.as<double>() + t * 2 * half;
    const double* sines = cosines + half;
    for (std::int64_t head = 0; head < heads; ++head) {
      double* first = x.as<double>() + (t * heads + head) * 2 * half;
      double* second = first + half;
      for (std::int64_t i = 0; i < half; ++i) {
        const double a = first[i];
        const double b = second[i];
        first[i] = a * cosines[i] - b * sines[i];
        second[i] = b * cosines[i] + a * sines[i];
      }
    }
  }
}

void ReferenceBackend::store_kv(View k, View v, View slot_mapping, const KvLayer& kv) {
  const std::int64_t heads = k.shape()[1];
  const std::int64_t head_dim = k.shape()[2];
  const std::int32_t* slots = slot_mapping.as<std::int32_t>();
  for (std::int64_t t = 0; t < k.shape()[0]; ++t) {
    for (std::int64_t head = 0; head < heads; ++head) {
      const std::int64_t from = (t * heads + head) * head_dim;
      const std::int64_t to = kv_offset(kv.keys.shape(), slots[t], head);
      std::copy_n(k.as<double>() + from, head_dim, kv.keys.as<double>() + to);
      std::copy_n(v.as<double>() + from, head_dim, kv.values.as<double>() + to);
    }
  }
}

void ReferenceBackend::attention(const AttentionArgs& args) {
  const AttentionBatch& batch = *args.batch;
  const std::int32_t* starts = batch.cu_seqlens_q.as<std::int32_t>();
  const std::int32_t* context_lens = batch.context_lens.as<std::int32_t>();
  for (int s = 0; s < batch.num_sequences; ++s) {
    const std::int64_t end = starts[s + 1];
    for (std::int64_t row = starts[s]; row < end; ++row) {
      const std::int64_t position = context_lens[s] - (end - row);
      const std::int64_t first = args.sliding_window > 0
                                     ? std::max<std::int64_t>(0, position - args.sliding_window + 1)
                                     : 0;
      for (std::int64_t head = 0; head < args.q.shape()[1]; ++head) {
        attend(args, {row, head, first, position, host_block_table(batch, s)}, scores_);
      }
    }
  }
}

void ReferenceBackend::route(
    View router_logits, MutableView expert_ids, MutableView expert_weights
) {
  const std::int64_t num_experts = router_logits.shape()[1];
  const std::int64_t per_token = expert_weights.shape()[1];
  for (std::int64_t t = 0; t < router_logits.shape()[0]; ++t) {
    const double* logits = router_logits.as<double>() + t * num_experts;
    const std::span ids(
        expert_ids.as<std::int32_t>() + t * per_token, static_cast<std::size_t>(per_token)
    );
    double* weights = expert_weights.as<double>() + t * per_token;
    double sum = 0;
    for (std::size_t j = 0; j < ids.size(); ++j) {
      std::int32_t best = -1;
      for (std::int32_t e = 0; e < num_experts; ++e) {
        const bool taken =
            std::find(ids.begin(), ids.begin() + static_cast<std::ptrdiff_t>(j), e) !=
            ids.begin() + static_cast<std::ptrdiff_t>(j);
        if (!taken && (best < 0 || logits[e] > logits[best])) best = e;
      }
      ids[j] = best;
      weights[j] = std::exp(logits[best] - logits[ids[0]]);
      sum += weights[j];
    }
    for (std::size_t j = 0; j < ids.size(); ++j) weights[j] /= sum;
  }
}

void ReferenceBackend::expert_linear(
    View x, View expert_ids, const ExpertLinear& layer, MutableView y
) {
  const std::int64_t rows = layer.weight.rows();
  const std::int64_t columns = layer.weight.columns();
  const std::int64_t num_outputs = expert_ids.shape()[0];
  const std::int64_t outputs_per_row = num_outputs / x.shape()[0];
  for (std::int64_t i = 0; i < num_outputs; ++i) {
    const std::int64_t expert = expert_ids.as<std::int32_t>()[i];
    const double* in = x.as<double>() + (i / outputs_per_row) * columns;
    for (std::int64_t r = 0; r < rows; ++r) {
      y.as<double>()[i * rows + r] =
          dot_mxfp4(layer.weight, expert, r, in) + bias_at(layer.bias, expert * rows + r);
    }
  }
}

void ReferenceBackend::swiglu(View x, double limit, MutableView y) {
  for (std::int64_t k = 0; k < y.shape().num_elements(); ++k) {
    const double u = std::min(x.as<double>()[2 * k], limit);
    const double v = std::clamp(x.as<double>()[2 * k + 1], -limit, limit);
    y.as<double>()[k] = u / (1.0 + std::exp(-kSwigluAlpha * u)) * (v + 1.0);
  }
}

void ReferenceBackend::combine_experts(View y, View weights, MutableView x) {
  const std::int64_t hidden = x.shape()[1];
  const std::int64_t per_token = weights.shape()[1];
  for (std::int64_t t = 0; t < x.shape()[0]; ++t) {
    double* out = x.as<double>() + t * hidden;
    for (std::int64_t j = 0; j < per_token; ++j) {
      const double weight = weights.as<double>()[t * per_token + j];
      const double* in = y.as<double>() + (t * per_token + j) * hidden;
      for (std::int64_t i = 0; i < hidden; ++i) out[i] += weight * in[i];
    }
  }
}

void ReferenceBackend::gather_rows(View x, View rows, MutableView out) {
  const std::int64_t width = x.shape()[1];
  double* to = out.as<double>();
  for (const std::int32_t row : host_indices(rows)) {
    to = std::copy_n(x.as<double>() + row * width, width, to);
  }
}

void ReferenceBackend::unembed(View x, View unembedding, MutableView logits) {
  const std::int64_t vocab = unembedding.shape()[0];
  const std::int64_t hidden = unembedding.shape()[1];
  for (std::int64_t t = 0; t < x.shape()[0]; ++t) {
    for (std::int64_t r = 0; r < vocab; ++r) {
      logits.as<float>()[t * vocab + r] = static_cast<float>(
          dot(unembedding.as<BFloat16>() + r * hidden, x.as<double>() + t * hidden, hidden)
      );
    }
  }
}

}  // namespace gossamer::kernels::reference
