#include "kernels/profiling_backend.h"

#include <algorithm>
#include <utility>

namespace gossamer::kernels {
namespace {

/// The bytes of operands that are read or written once.
template <class... Views>
double bytes(const Views&... views) {
  return static_cast<double>((views.size_bytes() + ...));
}

}  // namespace

void ProfilingBackend::start() {
  inner_->synchronize();
  ops_.clear();
  is_on_ = true;
}

std::vector<OpProfile> ProfilingBackend::stop() {
  is_on_ = false;
  return std::exchange(ops_, {});
}

template <class Op>
void ProfilingBackend::timed(std::string_view name, double bytes, const Op& op) {
  const Stopwatch time;
  op();
  if (is_on_) record(name, bytes, time);
}

void ProfilingBackend::record(std::string_view name, double bytes, const Stopwatch& time) {
  inner_->synchronize();
  const double seconds = time.seconds();
  auto place = std::find_if(ops_.begin(), ops_.end(), [&](const OpProfile& profile) {
    return profile.name == name;
  });
  if (place == ops_.end()) place = ops_.insert(place, {.name = name});
  ++place->num_calls;
  place->seconds += seconds;
  place->bytes += bytes;
}

Result<std::unique_ptr<tensor::Buffer>> ProfilingBackend::allocate(std::size_t size_bytes) {
  return inner_->allocate(size_bytes);
}

std::optional<std::uint64_t> ProfilingBackend::free_memory_bytes() const {
  return inner_->free_memory_bytes();
}

Result<ResidentWeights> ProfilingBackend::load(const Weights& host, const LoadProgress& progress) {
  return inner_->load(host, progress);
}

Status ProfilingBackend::reserve(const StepLimits& limits) {
  experts_per_token_ = limits.experts_per_token;
  return inner_->reserve(limits);
}

Step ProfilingBackend::begin_step(const StepInputs& inputs) {
  if (!is_on_) return inner_->begin_step(inputs);
  cu_seqlens_q_.assign(inputs.cu_seqlens_q.begin(), inputs.cu_seqlens_q.end());
  context_lens_.assign(inputs.context_lens.begin(), inputs.context_lens.end());
  Step step;
  timed("begin_step", 0, [&] { step = inner_->begin_step(inputs); });
  return step;
}

void ProfilingBackend::run(const Step& step, const std::function<void()>& ops) {
  if (is_on_) return ops();
  inner_->run(step, ops);
}

void ProfilingBackend::embed(View tokens, View embedding, MutableView x) {
  const double read = static_cast<double>(tokens.shape()[0] * embedding.shape()[1]) *
                      static_cast<double>(tensor::size_of(embedding.dtype()));
  timed("embed", bytes(tokens, x) + read, [&] { inner_->embed(tokens, embedding, x); });
}

void ProfilingBackend::rms_norm(View x, View scale, double eps, MutableView y) {
  timed("rms_norm", bytes(x, scale, y), [&] { inner_->rms_norm(x, scale, eps, y); });
}

void ProfilingBackend::linear(View x, const Linear& layer, MutableView y) {
  timed("linear", bytes(x, y) + bytes_of(layer), [&] { inner_->linear(x, layer, y); });
}

void ProfilingBackend::add(View y, MutableView x) {
  timed("add", bytes(y, x, x), [&] { inner_->add(y, x); });
}

void ProfilingBackend::rope_table(View positions, const Rope& rope, MutableView table) {
  timed("rope_table", bytes(positions, table), [&] { inner_->rope_table(positions, rope, table); });
}

void ProfilingBackend::rotate(View table, MutableView x) {
  timed("rotate", bytes(table, x, x), [&] { inner_->rotate(table, x); });
}

void ProfilingBackend::store_kv(View k, View v, View slot_mapping, const KvLayer& kv) {
  const double written = static_cast<double>(k.shape()[0]) * bytes_of_position(kv);
  timed("store_kv", bytes(k, v, slot_mapping) + written, [&] {
    inner_->store_kv(k, v, slot_mapping, kv);
  });
}

void ProfilingBackend::attention(const AttentionArgs& args) {
  if (!is_on_) return inner_->attention(args);
  const auto positions = static_cast<double>(positions_in_view(sequences(), args.sliding_window));
  const double read = positions * bytes_of_position(args.kv);
  timed(
      args.sliding_window > 0 ? "attention, sliding" : "attention, full",
      bytes(args.q, args.sinks, args.out) + read,
      [&] { inner_->attention(args); }
  );
}

void ProfilingBackend::route(View router_logits, MutableView expert_ids, MutableView weights) {
  timed("route", bytes(router_logits, expert_ids, weights), [&] {
    inner_->route(router_logits, expert_ids, weights);
  });
}

void ProfilingBackend::expert_linear(
    View x, View expert_ids, const ExpertLinear& layer, MutableView y
) {
  const auto num_tokens = static_cast<int>(expert_ids.shape()[0]) / experts_per_token_;
  timed(
      "expert_linear",
      bytes(x, expert_ids, y) + expected_bytes_of(layer, experts_per_token_, num_tokens),
      [&] { inner_->expert_linear(x, expert_ids, layer, y); }
  );
}

void ProfilingBackend::swiglu(View x, double limit, MutableView y) {
  timed("swiglu", bytes(x, y), [&] { inner_->swiglu(x, limit, y); });
}

void ProfilingBackend::combine_experts(View y, View weights, MutableView x) {
  timed("combine_experts", bytes(y, weights, x, x), [&] {
    inner_->combine_experts(y, weights, x);
  });
}

void ProfilingBackend::gather_rows(View x, View rows, MutableView out) {
  timed("gather_rows", bytes(rows, out, out), [&] { inner_->gather_rows(x, rows, out); });
}

void ProfilingBackend::unembed(View x, View unembedding, MutableView logits) {
  timed("unembed", bytes(x, unembedding, logits), [&] { inner_->unembed(x, unembedding, logits); });
}

void ProfilingBackend::project_qkv(const QkvArgs& args) {
  const double weights = bytes_of(args.q_proj) + bytes_of(args.k_proj) + bytes_of(args.v_proj);
  const double written = static_cast<double>(args.x.shape()[0]) * bytes_of_position(args.kv);
  timed("project_qkv", bytes(args.x, args.norm, args.rope_table, args.q) + weights + written, [&] {
    inner_->project_qkv(args);
  });
}

void ProfilingBackend::linear_add(View y, const Linear& layer, MutableView scratch, MutableView x) {
  timed("linear_add", bytes(y, x, x) + bytes_of(layer), [&] {
    inner_->linear_add(y, layer, scratch, x);
  });
}

void ProfilingBackend::moe(const MoeArgs& args) {
  if (!is_on_) return inner_->moe(args);
  const auto num_tokens = static_cast<int>(args.x.shape()[0]);
  const double weights = bytes_of(args.router) +
                         expected_bytes_of(args.gate_up, experts_per_token_, num_tokens) +
                         expected_bytes_of(args.down, experts_per_token_, num_tokens);
  timed("moe", bytes(args.x, args.x, args.norm) + weights, [&] { inner_->moe(args); });
}

bool ProfilingBackend::forward(const ForwardArgs& args) {
  if (!is_on_) return inner_->forward(args);
  const StepTraffic traffic{
      .weights = args.weights,
      .sliding_windows = args.sliding_windows,
      .sequences = sequences(),
      .experts_per_token = experts_per_token_,
      .position_bytes = bytes_of_position(args.kv.front())};
  const Stopwatch time;
  if (!inner_->forward(args)) return false;
  record("forward", expected_step_bytes(traffic), time);
  return true;
}

void ProfilingBackend::sample(
    View logits, std::span<const SampleRow> rows, std::span<SampleResult> out
) {
  timed("sample", bytes(logits), [&] { inner_->sample(logits, rows, out); });
}

}  // namespace gossamer::kernels
