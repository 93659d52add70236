#include "api/tokenize.h"

#include <string>
#include <utility>
#include <vector>

#include "chat/turn_prompt.h"

namespace gossamer::api {
namespace {

constexpr std::uint64_t kTokenLimit = std::uint64_t{1} << 31;

ApiResult<std::vector<TokenId>> message_tokens(
    const Json& body, const harmony::Encoding& encoding, const ChatDefaults& defaults
) {
  auto request = read_chat_completions_request(body, defaults);
  if (!request.ok()) return request.error();
  const auto prompt = chat::TurnPrompt::create(encoding, request->turn.conversation);
  if (!prompt.ok()) return from_error(prompt.error());
  FirstError error;
  const bool is_open =
      ObjectReader(body, "", error).boolean("add_generation_prompt").value_or(true);
  if (error) return *std::move(error);
  return is_open ? prompt->tokens() : prompt->message_tokens();
}

ApiResult<std::vector<TokenId>> prompt_tokens(
    const ObjectReader& request, const tokenizer::Tokenizer& tokenizer
) {
  auto prompt = request.string("prompt");
  for (const std::string_view key : {"text", "content"}) {
    if (!prompt) prompt = request.string(key);
  }
  const bool parses_special = request.boolean("parse_special").value_or(false);
  if (!prompt && !request.error()) request.fail("prompt", "is required, or messages");
  if (request.error()) return *request.error();
  return parses_special ? tokenizer.encode_with_specials(*prompt)
                        : tokenizer.encode_ordinary(*prompt);
}

}  // namespace

ApiResult<Json> tokenize(
    const Json& body,
    const harmony::Encoding& encoding,
    const ChatDefaults& defaults,
    int context_length
) {
  FirstError error;
  const ObjectReader request(body, "", error);
  const bool with_texts = request.boolean("return_token_strs").value_or(false);
  if (error) return *std::move(error);
  auto tokens = request.find("messages") != nullptr ? message_tokens(body, encoding, defaults)
                                                    : prompt_tokens(request, encoding.tokenizer());
  if (!tokens.ok()) return tokens.error();
  Json texts;
  for (std::size_t i = 0; with_texts && i < tokens->size(); ++i) {
    texts.push_back(encoding.tokenizer().decode({&(*tokens)[i], 1}));
  }
  return Json{
      {"count", tokens->size()},
      {"max_model_len", context_length},
      {"tokens", *tokens},
      {"token_strs", std::move(texts)}};
}

ApiResult<Json> detokenize(const Json& body, const tokenizer::Tokenizer& tokenizer) {
  FirstError error;
  const ObjectReader request(body, "", error);
  const Json* list = request.array("tokens");
  if (list == nullptr && !error) request.fail_missing("tokens");
  std::vector<TokenId> tokens;
  for (std::size_t i = 0; list != nullptr && i < list->size() && !error; ++i) {
    const Json& id = (*list)[i];
    const bool is_id = id.is_number_unsigned() && id.get<std::uint64_t>() < kTokenLimit;
    const TokenId token = is_id ? id.get<TokenId>() : 0;
    if (!is_id || !tokenizer.bytes_of(token)) {
      request.fail(element_path("tokens", i), "must be a token id of this model");
    }
    tokens.push_back(token);
  }
  if (error) return *std::move(error);
  return Json{{"prompt", tokenizer.decode(tokens)}};
}

}  // namespace gossamer::api
