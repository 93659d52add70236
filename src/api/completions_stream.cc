#include "api/completions_stream.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

namespace gossamer::api {
namespace {

/// Characters of UTF-8 text.
std::size_t count_characters(std::string_view text) {
  return static_cast<std::size_t>(std::count_if(text.begin(), text.end(), [](char c) {
    return (static_cast<unsigned char>(c) & 0xC0) != 0x80;
  }));
}

Json choice_json(std::size_t index, const std::string& text) {
  return {{"index", index}, {"text", text}, {"logprobs", nullptr}, {"finish_reason", nullptr}};
}

Json logprobs_form() {
  return {
      {"tokens", Json::array()},
      {"token_logprobs", Json::array()},
      {"top_logprobs", Json::array()},
      {"text_offset", Json::array()}};
}

}  // namespace

CompletionsStream::CompletionsStream(
    const CompletionsRequest& request,
    const std::vector<engine::Request>& requests,
    const tokenizer::Tokenizer& tokenizer,
    CompletionHead head
)
    : request_(request), tokenizer_(tokenizer), head_(std::move(head)) {
  for (std::size_t i = 0; i < requests.size(); ++i) {
    std::vector<TokenId> prompt = prompt_tokens(request, request.prompts[i], tokenizer);
    Choice& choice = choices_.emplace_back(tokenizer, request.stop);
    usage_.prompt_tokens += static_cast<int>(prompt.size());
    if (request.scores_prompt()) choice.num_unscored = prompt.size() - 1;
    if (request.echo) choice.prompt = std::move(prompt);
    end_tokens_.push_back(requests[i].stop_tokens);
  }
}

Json CompletionsStream::chunk(std::size_t choice, const std::string& text) const {
  Json json = head_.json("text_completion");
  json["choices"] = Json::array({choice_json(choice, text)});
  if (request_.include_usage) json["usage"] = nullptr;
  return json;
}

std::vector<Json> CompletionsStream::begin() {
  std::vector<Json> chunks;
  for (std::size_t i = 0; i < choices_.size(); ++i) {
    Choice& choice = choices_[i];
    if (request_.scores_prompt()) {
      // Nothing comes before it, so it has no probability.
      const double none = std::numeric_limits<double>::quiet_NaN();
      take(i, choice.prompt_text, {.token = choice.prompt.front(), .logprob = none}, chunks);
    } else if (request_.echo) {
      const auto* given = std::get_if<std::string>(&request_.prompts[i]);
      const std::string text = given != nullptr ? *given : tokenizer_.decode(choice.prompt);
      choice.num_characters = count_characters(text);
      chunks.push_back(chunk(i, text));
    }
  }
  return chunks;
}

std::vector<Json> CompletionsStream::push(std::size_t choice, const engine::SampledToken& token) {
  std::vector<Json> chunks;
  Choice& state = choices_[choice];
  if (state.num_unscored > 0) {
    --state.num_unscored;
    take(choice, state.prompt_text, token, chunks);
    return chunks;
  }
  ++usage_.output_tokens;
  const auto& ends = end_tokens_[choice];
  const bool is_end = std::find(ends.begin(), ends.end(), token.token) != ends.end();
  if (!is_end && !state.text.is_stopped()) take(choice, state.text, token, chunks);
  return chunks;
}

void CompletionsStream::take(
    std::size_t choice,
    chat::MessageText& text,
    const engine::SampledToken& token,
    std::vector<Json>& chunks
) {
  const auto bytes = tokenizer_.bytes_of(token.token);
  if (bytes) text.add_token(token, bytes->size());
  add(choice, text.add_text(choice, choices_[choice].decoder.push(token.token)), chunks);
}

std::vector<Json> CompletionsStream::finish(
    std::size_t choice, engine::FinishReason reason, int num_cached_tokens
) {
  std::vector<Json> chunks;
  usage_.cached_tokens += num_cached_tokens;
  Choice& state = choices_[choice];
  add(choice, state.text.add_text(choice, state.decoder.finish()), chunks);
  add(choice, state.text.finish(choice), chunks);
  const bool is_cut = reason == engine::FinishReason::kLength && !state.text.is_stopped();
  chunks.push_back(chunk(choice, ""));
  chunks.back()["choices"][0]["finish_reason"] = is_cut ? "length" : "stop";
  return chunks;
}

std::vector<Json> CompletionsStream::finish() const {
  if (!request_.include_usage) return {};
  Json last = head_.json("text_completion");
  last["choices"] = Json::array();
  last["usage"] = completion_usage_json(usage_);
  std::vector<Json> chunks;
  chunks.push_back(std::move(last));
  return chunks;
}

void CompletionsStream::add(
    std::size_t choice, std::optional<chat::TextAdded> added, std::vector<Json>& chunks
) {
  if (!added) return;
  chunks.push_back(chunk(choice, added->text));
  if (request_.logprobs) {
    chunks.back()["choices"][0]["logprobs"] = logprobs(choices_[choice], *added);
  }
  choices_[choice].num_characters += count_characters(added->text);
}

Json CompletionsStream::logprobs(Choice& choice, const chat::TextAdded& added) const {
  Json json = logprobs_form();
  std::size_t offset = choice.num_characters;
  for (const engine::SampledToken& token : added.tokens) {
    const std::string text = tokenizer_.decode({&token.token, 1});
    const bool is_scored = !std::isnan(token.logprob);
    Json top = is_scored ? Json::object() : Json();
    for (const engine::TokenLogprob& other : token.top) {
      top[tokenizer_.decode({&other.token, 1})] = finite_logprob(other.logprob);
    }
    json["tokens"].push_back(text);
    json["token_logprobs"].push_back(is_scored ? Json(finite_logprob(token.logprob)) : Json());
    json["top_logprobs"].push_back(std::move(top));
    json["text_offset"].push_back(offset);
    offset += count_characters(text);
  }
  return json;
}

// The whole.

Completion::Completion(std::size_t num_choices) {
  for (std::size_t i = 0; i < num_choices; ++i) choices_.push_back(choice_json(i, ""));
}

void Completion::add(const Json& chunk) {
  for (const Json& part : chunk["choices"]) {
    Json& choice = choices_[part["index"].get<std::size_t>()];
    choice["text"].get_ref<std::string&>() += part["text"].get_ref<const std::string&>();
    if (!part["finish_reason"].is_null()) choice["finish_reason"] = part["finish_reason"];
    if (part["logprobs"].is_null()) continue;
    if (choice["logprobs"].is_null()) choice["logprobs"] = logprobs_form();
    for (const auto& [key, list] : part["logprobs"].items()) {
      for (const Json& entry : list) choice["logprobs"][key].push_back(entry);
    }
  }
}

Json Completion::json(const CompletionHead& head, const chat::TurnUsage& usage) const {
  Json json = head.json("text_completion");
  json["choices"] = choices_;
  json["usage"] = completion_usage_json(usage);
  return json;
}

}  // namespace gossamer::api
