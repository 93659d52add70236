#include "engine/engine.h"

#include <algorithm>
#include <utility>

#include "base/stopwatch.h"
#include "engine/block_tables.h"
#include "engine/prompt.h"

namespace gossamer::engine {
namespace {

// Room that a sequence's tokens get at once; longer outputs move a few times.
constexpr int kReservedTokens = 1024;
// At most this much of a device's memory stays free.
constexpr std::uint64_t kReservedBytes = std::uint64_t{512} << 20U;

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
  if (options.num_snapshots < 0) {
    return make_error(
        ErrorCode::kInvalidArgument,
        "{} snapshots were asked for; at least 0 make sense",
        options.num_snapshots
    );
  }
  return {};
}

/// What a KV cache may take of so much free memory: drivers, recordings and other programs come to
/// need some of it.
std::optional<std::uint64_t> without_reserve(std::optional<std::uint64_t> free_bytes) {
  if (!free_bytes) return std::nullopt;
  return *free_bytes - std::min(kReservedBytes, *free_bytes / 8);
}

std::size_t mask_words(const model::Config& config) {
  return (static_cast<std::size_t>(config.vocab_size) + 63) / 64;
}

}  // namespace

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
  const auto free_at_first = backend.free_memory_bytes();
  GOSSAMER_ASSIGN_OR_RETURN(
      auto transformer, model::Transformer::create(config, weights, backend, size)
  );
  const auto free_for_cache = backend.free_memory_bytes();
  MemoryUse memory{.scratch_bytes = transformer.activation_bytes()};
  if (free_for_cache) {
    memory.scratch_bytes = *free_at_first - std::min(*free_at_first, *free_for_cache);
  }
  GOSSAMER_ASSIGN_OR_RETURN(
      const auto blocks,
      choose_kv_size(config, options, backend.kv_dtype(), without_reserve(free_for_cache))
  );
  GOSSAMER_ASSIGN_OR_RETURN(auto cache, model::KvCache::create(config, backend, blocks));
  memory.kv_cache_bytes = bytes_of(config, blocks, backend.kv_dtype());
  memory.kv_cache_tokens = std::int64_t{blocks.full_blocks} * kernels::kBlockSize;
  memory.free_bytes = backend.free_memory_bytes();
  ModelRunner runner(std::move(transformer), std::move(cache), size);
  return std::unique_ptr<Engine>(new Engine(config, options, backend, std::move(runner), memory));
}

Engine::Engine(
    const model::Config& config,
    const EngineOptions& options,
    kernels::Backend& backend,
    ModelRunner runner,
    const MemoryUse& memory
)
    : config_(config),
      options_(options),
      backend_(&backend),
      memory_(memory),
      longest_sequence_(
          static_cast<int>(std::min<std::int64_t>(options.context_length, memory.kv_cache_tokens))
      ),
      full_(runner.cache().size().full_blocks),
      sliding_(runner.cache().size().sliding_blocks),
      cache_(
          full_,
          sliding_,
          config.sliding_window,
          options.num_snapshots > 0 ? PrefixCache::Mode::kEnabled : PrefixCache::Mode::kDisabled
      ),
      scheduler_(
          {options.max_batch_tokens, options.max_sequences, config.sliding_window},
          full_,
          sliding_,
          cache_
      ),
      runner_(std::move(runner)),
      scratch_(static_cast<std::size_t>(backend.host_threads().num_threads())) {
  rows_.reserve(static_cast<std::size_t>(options.max_sequences));
  sample_rows_.reserve(static_cast<std::size_t>(options.max_sequences));
  sampled_.reserve(static_cast<std::size_t>(options.max_sequences));
  outputs_.reserve(static_cast<std::size_t>(options.max_sequences));
  if (!options.commits_kv_cache) return;
  committing_ = std::jthread([this](const std::stop_token& stop) { runner_.cache().commit(stop); });
}

Status Engine::check(const Request& request) const {
  GOSSAMER_RETURN_IF_ERROR(validate_prompt(config_, request.prompt));
  GOSSAMER_RETURN_IF_ERROR(engine::validate(request.sampling, config_.vocab_size));
  if (request.max_tokens && *request.max_tokens < 1) {
    return make_error(
        ErrorCode::kInvalidArgument, "max_tokens is {}; it must be at least 1", *request.max_tokens
    );
  }
  if (request.prompt.size() < static_cast<std::size_t>(longest_sequence_)) return {};
  if (longest_sequence_ < options_.context_length) {
    return make_error(
        ErrorCode::kContextFull,
        "the prompt has {} tokens, and the KV cache holds {} with the answer; shorten the prompt "
        "or "
        "give the cache more memory",
        request.prompt.size(),
        longest_sequence_
    );
  }
  return make_error(
      ErrorCode::kContextFull,
      "the prompt has {} tokens, and the context holds {} with the answer; shorten the prompt or "
      "raise the "
      "context (this model takes up to {})",
      request.prompt.size(),
      options_.context_length,
      config_.max_context_length
  );
}

std::vector<int> Engine::snapshot_positions(const Request& request) const {
  if (options_.num_snapshots == 0) return {};
  // A prompt that comes again must leave a token to compute.
  const int last = static_cast<int>(request.prompt.size()) - 1;
  std::vector<int> positions;
  for (const int position : request.reuse_positions) {
    if (position <= last) positions.push_back(block_start(position));
  }
  positions.push_back(block_start(last));
  std::sort(positions.begin(), positions.end());
  positions.erase(std::unique(positions.begin(), positions.end()), positions.end());
  // One request shall not drive out everybody else's: its first position, and its last ones.
  const auto most = static_cast<std::size_t>(std::max(2, options_.num_snapshots / 4));
  if (positions.size() > most) {
    positions.erase(positions.begin() + 1, positions.end() - static_cast<std::ptrdiff_t>(most - 1));
  }
  return positions;
}

Result<SequenceId> Engine::submit(Request request) {
  GOSSAMER_RETURN_IF_ERROR(check(request));
  const int prompt_length = static_cast<int>(request.prompt.size());
  const int room = longest_sequence_ - prompt_length;
  const int max_new = std::min(room, request.max_tokens.value_or(room));
  auto sequence = std::make_unique<Sequence>();
  sequence->id = next_id_++;
  sequence->snapshot_positions = snapshot_positions(request);
  sequence->user = std::move(request.user);
  sequence->num_prompt_tokens = prompt_length;
  sequence->max_length = prompt_length + max_new;
  sequence->tokens = std::move(request.prompt);
  sequence->tokens.reserve(
      static_cast<std::size_t>(prompt_length + std::min(max_new, kReservedTokens))
  );
  sequence->stop_tokens = std::move(request.stop_tokens);
  sequence->mask = std::move(request.mask);
  sequence->sampler = std::make_unique<Sampler>(request.sampling, options_.seed + sequence->id);
  sequence->sampler->observe_prompt(sequence->tokens);
  const SequenceId id = sequence->id;
  scheduler_.add(std::move(sequence));
  return id;
}

std::span<const Output> Engine::step() {
  const std::vector<ScheduledSequence>& step = scheduler_.schedule();
  outputs_.clear();
  if (step.empty()) return {};
  ++num_steps_;
  commit(step, runner_.run(step, scheduler_.copies()));
  return outputs_;
}

void Engine::commit(std::span<const ScheduledSequence> step, tensor::View logits) {
  rows_.clear();
  for (const ScheduledSequence& part : step) {
    scheduler_.mark_computed(part);
    if (part.wants_logits) rows_.push_back({part.sequence, false});
  }
  outputs_.resize(rows_.size());
  const Stopwatch time;
  fill_masks();
  choose(logits);
  choosing_seconds_ += time.seconds();
  for (std::size_t row = 0; row < rows_.size(); ++row) accept(*rows_[row].sequence, outputs_[row]);
  num_generated_ += outputs_.size();
  // `step` borrows the sequences: they may go only now.
  for (const Output& output : outputs_) {
    if (output.finish) scheduler_.remove(output.sequence);
  }
}

std::span<std::uint64_t> Engine::mask_of(std::size_t row) {
  const std::size_t words = mask_words(config_);
  return std::span(masks_).subspan(row * words, words);
}

void Engine::fill_masks() {
  for (std::size_t row = 0; row < rows_.size(); ++row) {
    const TokenMask* mask = rows_[row].sequence->mask.get();
    if (mask == nullptr) continue;
    if (masks_.empty()) {
      masks_.resize(static_cast<std::size_t>(options_.max_sequences) * mask_words(config_));
    }
    rows_[row].is_masked = mask->fill(mask_of(row));
  }
}

void Engine::choose(tensor::View logits) {
  if (rows_.empty()) return;
  sample_rows_.clear();
  for (std::size_t row = 0; row < rows_.size(); ++row) {
    std::span<const std::uint64_t> allowed;
    if (rows_[row].is_masked) allowed = mask_of(row);
    sample_rows_.push_back(rows_[row].sequence->sampler->next_row(allowed));
  }
  sampled_.resize(rows_.size());
  const bool on_backend =
      std::all_of(sample_rows_.begin(), sample_rows_.end(), [&](const kernels::SampleRow& row) {
        return backend_->can_sample(row);
      });
  if (on_backend) {
    backend_->sample(logits, sample_rows_, sampled_);
  } else {
    choose_on_host(backend_->read(logits));
  }
  for (std::size_t row = 0; row < rows_.size(); ++row) {
    outputs_[row].sampled = std::move(sampled_[row]);
  }
}

void Engine::choose_on_host(tensor::View logits) {
  const auto vocab = static_cast<std::size_t>(config_.vocab_size);
  backend_->host_threads().run(rows_.size(), [&](std::size_t row, int thread) {
    const std::span<const float> values(logits.as<float>() + row * vocab, vocab);
    sampled_[row] =
        choose_token(values, sample_rows_[row], scratch_[static_cast<std::size_t>(thread)]);
  });
}

void Engine::accept(Sequence& sequence, Output& output) const {
  const TokenId token = output.sampled.token;
  output.sequence = sequence.id;
  output.num_cached_tokens = sequence.num_cached_tokens;
  output.finish.reset();
  sequence.sampler->accept(token);
  sequence.tokens.push_back(token);
  if (sequence.mask) sequence.mask->accept(token);
  const auto& stops = sequence.stop_tokens;
  if (std::find(stops.begin(), stops.end(), token) != stops.end()) {
    output.finish = FinishReason::kStop;
  } else if (sequence.length() >= sequence.max_length) {
    output.finish = FinishReason::kLength;
  }
}

void Engine::cancel(SequenceId id) {
  if (scheduler_.remove(id)) ++num_cancelled_;
}

GeneratorStatus Engine::status() const {
  const Scheduler::Counters& counters = scheduler_.counters();
  return {
      .num_waiting = scheduler_.num_waiting(),
      .num_running = scheduler_.num_running(),
      .total_blocks = {full_.num_blocks(), sliding_.num_blocks()},
      .free_blocks = free_blocks(),
      .num_prompt_tokens = counters.num_prompt_tokens,
      .num_cached_tokens = counters.num_cached_tokens,
      .num_generated_tokens = num_generated_,
      .num_steps = num_steps_,
      .num_preemptions = counters.num_preemptions,
      .num_cancelled = num_cancelled_,
  };
}

}  // namespace gossamer::engine
