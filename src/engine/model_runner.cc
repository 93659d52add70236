#include "engine/model_runner.h"

#include <utility>

namespace gossamer::engine {

ModelRunner::ModelRunner(model::Transformer transformer, model::KvCache cache, model::StepSize size)
    : transformer_(std::move(transformer)), cache_(std::move(cache)) {
  batch_.reserve(size.max_tokens, size.max_sequences, size.max_context);
}

tensor::View ModelRunner::run(
    std::span<const ScheduledSequence> step, std::span<const BlockCopy> copies
) {
  for (const BlockCopy& copy : copies) {
    cache_.copy_block(model::LayerType::kFull, copy.from.full, copy.to.full);
    cache_.copy_block(model::LayerType::kSliding, copy.from.sliding, copy.to.sliding);
  }
  prepare(step);
  return transformer_.forward(batch_, cache_);
}

void ModelRunner::prepare(std::span<const ScheduledSequence> step) {
  batch_.clear();
  for (const ScheduledSequence& part : step) {
    const Sequence& sequence = *part.sequence;
    batch_.add_sequence(
        std::span(sequence.tokens)
            .subspan(
                static_cast<std::size_t>(sequence.num_computed),
                static_cast<std::size_t>(part.num_new_tokens)
            ),
        sequence.num_computed,
        sequence.blocks->full(),
        sequence.blocks->sliding()
    );
    if (part.wants_logits) batch_.logit_rows.push_back(batch_.num_tokens() - 1);
  }
}

}  // namespace gossamer::engine
