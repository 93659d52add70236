#include "engine/scorer.h"

#include <algorithm>

#include "engine/block_tables.h"
#include "engine/prompt.h"
#include "model/batch.h"
#include "model/kv_cache.h"
#include "model/transformer.h"

namespace gossamer::engine {
namespace {

// Logits of this many positions are held at once: 51 MB at the released vocabulary.
constexpr int kChunk = 64;

Status check_tokens(const model::Config& config, std::span<const TokenId> tokens) {
  GOSSAMER_RETURN_IF_ERROR(validate_prompt(config, tokens));
  if (tokens.size() <= static_cast<std::size_t>(config.max_context_length)) return {};
  return make_error(
      ErrorCode::kContextFull,
      "the text has {} tokens, and this model's context holds {}",
      tokens.size(),
      config.max_context_length
  );
}

}  // namespace

Status score(
    const model::Config& config,
    const model::Weights& weights,
    kernels::Backend& backend,
    std::span<const TokenId> tokens,
    int top_k,
    const std::function<void(const ScoredPosition&)>& on_position
) {
  GOSSAMER_RETURN_IF_ERROR(check_tokens(config, tokens));
  const int length = static_cast<int>(tokens.size());
  GOSSAMER_ASSIGN_OR_RETURN(
      auto transformer,
      model::Transformer::create(
          config,
          weights,
          backend,
          {.max_tokens = kChunk,
           .max_sequences = 1,
           .max_logit_rows = kChunk,
           .max_context = length}
      )
  );
  BlockPool full(blocks_for(length));
  BlockPool sliding(max_sliding_blocks(config.sliding_window, kChunk, length));
  GOSSAMER_ASSIGN_OR_RETURN(
      auto cache, model::KvCache::create(config, backend, {full.num_blocks(), sliding.num_blocks()})
  );
  BlockTables blocks(full, sliding, config.sliding_window, length);
  model::Batch batch;
  batch.reserve(kChunk, 1, length);
  const auto vocab = static_cast<std::size_t>(config.vocab_size);
  std::optional<double> logprob;
  for (int begin = 0; begin < length; begin += kChunk) {
    const int count = std::min(kChunk, length - begin);
    blocks.release_passed(begin);
    blocks.grow(begin + count);
    batch.clear();
    batch.add_sequence(
        tokens.subspan(static_cast<std::size_t>(begin), static_cast<std::size_t>(count)),
        begin,
        blocks.full(),
        blocks.sliding()
    );
    for (int row = 0; row < count; ++row) batch.logit_rows.push_back(row);
    const tensor::View logits = backend.read(transformer.forward(batch, cache));
    for (int row = 0; row < count; ++row) {
      const auto position = static_cast<std::size_t>(begin + row);
      const std::span<const float> values(
          logits.as<float>() + static_cast<std::size_t>(row) * vocab, vocab
      );
      const double log_sum = log_sum_exp(values);
      on_position({begin + row, tokens[position], logprob, top_logprobs(values, log_sum, top_k)});
      if (position + 1 < tokens.size()) logprob = values[tokens[position + 1]] - log_sum;
    }
  }
  return {};
}

}  // namespace gossamer::engine
