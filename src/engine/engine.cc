#include "engine/engine.h"

#include <algorithm>
#include <utility>

#include "engine/prompt.h"

namespace gossamer::engine {
namespace {

model::KvCacheSize num_blocks(const model::Config& config, const EngineOptions& options) {
  const int sliding =
      max_sliding_blocks(config.sliding_window, options.max_batch_tokens, options.context_length);
  return {
      options.max_sequences * blocks_for(options.context_length), options.max_sequences * sliding};
}

Status validate(const model::Config& config, const EngineOptions& options) {
  if (options.context_length < 1 || options.context_length > config.max_context_length) {
    return make_error(
        ErrorCode::kInvalidArgument,
        "a context of {} tokens was asked for; this model takes 1 to {}",
        options.context_length,
        config.max_context_length
    );
  }
  if (options.max_sequences < 1 || options.max_batch_tokens < options.max_sequences) {
    return make_error(
        ErrorCode::kInvalidArgument,
        "a batch of {} sequences in steps of {} tokens was asked for; there must be at least one "
        "sequence, "
        "and a token in each step for every one",
        options.max_sequences,
        options.max_batch_tokens
    );
  }
  return {};
}

}  // namespace

std::uint64_t kv_cache_bytes(
    const model::Config& config, const EngineOptions& options, kernels::DType activation_dtype
) {
  const model::KvCacheSize blocks = num_blocks(config, options);
  using model::KvCache;
  using model::LayerType;
  return static_cast<std::uint64_t>(blocks.full_blocks) *
             KvCache::block_bytes(config, LayerType::kFull, activation_dtype) +
         static_cast<std::uint64_t>(blocks.sliding_blocks) *
             KvCache::block_bytes(config, LayerType::kSliding, activation_dtype);
}

Result<std::unique_ptr<Engine>> Engine::create(
    const model::Config& config,
    const model::Weights& weights,
    kernels::Backend& backend,
    const EngineOptions& options
) {
  GOSSAMER_RETURN_IF_ERROR(validate(config, options));
  const model::StepSize size{
      .max_tokens = options.max_batch_tokens,
      .max_sequences = options.max_sequences,
      .max_logit_rows = options.max_sequences,
      .max_context = options.context_length,
  };
  GOSSAMER_ASSIGN_OR_RETURN(
      auto transformer, model::Transformer::create(config, weights, backend, size)
  );
  const model::KvCacheSize blocks = num_blocks(config, options);
  GOSSAMER_ASSIGN_OR_RETURN(auto cache, model::KvCache::create(config, backend, blocks));
  ModelRunner runner(std::move(transformer), std::move(cache), size);
  return std::unique_ptr<Engine>(new Engine(config, options, std::move(runner), blocks));
}

Engine::Engine(
    const model::Config& config,
    const EngineOptions& options,
    ModelRunner runner,
    model::KvCacheSize blocks
)
    : config_(config),
      options_(options),
      full_(blocks.full_blocks),
      sliding_(blocks.sliding_blocks),
      scheduler_(
          {options.max_batch_tokens, options.max_sequences, config.sliding_window}, full_, sliding_
      ),
      runner_(std::move(runner)) {
  outputs_.reserve(static_cast<std::size_t>(options.max_sequences));
}

Result<SequenceId> Engine::submit(Request request) {
  GOSSAMER_RETURN_IF_ERROR(validate_prompt(config_, request.prompt));
  GOSSAMER_RETURN_IF_ERROR(engine::validate(request.sampling, config_.vocab_size));
  const int prompt_length = static_cast<int>(request.prompt.size());
  if (prompt_length >= options_.context_length) {
    return make_error(
        ErrorCode::kContextFull,
        "the prompt has {} tokens, and the context holds {} with the answer; shorten the prompt or "
        "raise the "
        "context (this model takes up to {})",
        prompt_length,
        options_.context_length,
        config_.max_context_length
    );
  }
  if (request.max_tokens && *request.max_tokens < 1) {
    return make_error(
        ErrorCode::kInvalidArgument, "max_tokens is {}; it must be at least 1", *request.max_tokens
    );
  }
  const int room = options_.context_length - prompt_length;
  auto sequence = std::make_unique<Sequence>();
  sequence->id = next_id_++;
  sequence->num_prompt_tokens = prompt_length;
  sequence->max_length = prompt_length + std::min(room, request.max_tokens.value_or(room));
  sequence->tokens = std::move(request.prompt);
  sequence->tokens.reserve(static_cast<std::size_t>(sequence->max_length));
  sequence->stop_tokens = std::move(request.stop_tokens);
  sequence->mask = std::move(request.mask);
  sequence->sampler = std::make_unique<Sampler>(
      std::move(request.sampling), config_.vocab_size, options_.seed + sequence->id
  );
  sequence->sampler->observe_prompt(sequence->tokens);
  const SequenceId id = sequence->id;
  scheduler_.add(std::move(sequence));
  return id;
}

std::span<const Output> Engine::step() {
  const std::vector<ScheduledSequence>& step = scheduler_.schedule();
  outputs_.clear();
  if (!step.empty()) commit(step, runner_.run(step));
  return outputs_;
}

void Engine::commit(std::span<const ScheduledSequence> step, tensor::View logits) {
  const auto vocab = static_cast<std::size_t>(config_.vocab_size);
  std::size_t row = 0;
  for (const ScheduledSequence& part : step) {
    part.sequence->num_computed += part.num_new_tokens;
    if (!part.wants_logits) continue;
    outputs_.push_back(sample(*part.sequence, {logits.as<float>() + row * vocab, vocab}));
    ++row;
  }
  // `step` borrows the sequences: they may go only now.
  for (const Output& output : outputs_) {
    if (output.finish) scheduler_.remove(output.sequence);
  }
}

Output Engine::sample(Sequence& sequence, std::span<const float> logits) {
  Output output{sequence.id, sequence.sampler->sample(logits, sequence.mask.get()), {}};
  const TokenId token = output.sampled.token;
  sequence.tokens.push_back(token);
  if (sequence.mask) sequence.mask->accept(token);
  const auto& stops = sequence.stop_tokens;
  if (std::find(stops.begin(), stops.end(), token) != stops.end()) {
    output.finish = FinishReason::kStop;
  } else if (sequence.length() >= sequence.max_length) {
    output.finish = FinishReason::kLength;
  }
  return output;
}

void Engine::cancel(SequenceId id) {
  scheduler_.remove(id);
}

}  // namespace gossamer::engine
