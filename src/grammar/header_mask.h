#pragma once

#include <memory>
#include <utility>

#include "engine/token_mask.h"
#include "grammar/header_grammar.h"

namespace gossamer::grammar {

/// One assistant turn's way through a HeaderGrammar: with it on the sampler, no header is
/// malformed, and no tool is called that was not declared. Made for a prompt that ends in
/// `<|start|>assistant`; tokens of the turn that are in the prompt as well are accepted first.
class HeaderMask final : public engine::TokenMask {
 public:
  explicit HeaderMask(std::shared_ptr<const HeaderGrammar> grammar)
      : grammar_(std::move(grammar)), state_(grammar_->start()) {}

  void accept(TokenId token) override { state_ = grammar_->next(state_, token); }

  bool fill(std::span<std::uint64_t> allowed) const override {
    return grammar_->fill(state_, allowed);
  }

  /// True when the turn is over.
  bool is_over() const { return grammar_->is_over(state_); }

 private:
  std::shared_ptr<const HeaderGrammar> grammar_;
  HeaderGrammar::State state_;
};

}  // namespace gossamer::grammar
