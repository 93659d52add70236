#include "api/completions_request.h"

#include <algorithm>
#include <limits>
#include <memory>
#include <utility>

#include "api/completion_options.h"
#include "api/forced_tokens.h"
#include "api/sampling.h"

namespace gossamer::api {
namespace {

constexpr std::size_t kMaxPrompts = 128;
constexpr std::int64_t kMaxTokenId = std::numeric_limits<std::int32_t>::max();

class RequestReader {
 public:
  explicit RequestReader(const Json& body) : reader_(body, "", error_) {}

  ApiResult<CompletionsRequest> read(const std::string& default_model) {
    request_.id = new_completion_id("cmpl");
    request_.model = reader_.string_or("model", default_model);
    read_prompts();
    refuse_several_choices(reader_);
    if (!reader_.string_or("suffix", "").empty()) reader_.fail("suffix", "is not supported");
    request_.sampling = read_sampling(reader_);
    request_.stop = read_stop(reader_);
    request_.parses_special = reader_.boolean("parse_special").value_or(false);
    request_.goes_past_end = reader_.boolean("ignore_eos").value_or(false);
    request_.stream = reader_.boolean("stream").value_or(false);
    request_.include_usage = read_include_usage(reader_);
    request_.user = read_user(reader_);
    read_echo_and_logprobs();
    if (error_) return *std::move(error_);
    return std::move(request_);
  }

 private:
  void read_echo_and_logprobs() {
    request_.echo = reader_.boolean("echo").value_or(false);
    if (const auto count = reader_.integer("logprobs", {0, 20})) {
      request_.logprobs = static_cast<int>(*count);
    }
    request_.sampling.top_logprobs = request_.logprobs.value_or(0);
    const double fewest = request_.scores_prompt() ? 0 : 1;
    const auto max_tokens = reader_.integer("max_tokens", {fewest, 1e9});
    request_.max_tokens = static_cast<int>(max_tokens.value_or(16));
  }

  void read_prompts() {
    const Json* prompt = reader_.find("prompt");
    if (prompt == nullptr) {
      if (!error_) reader_.fail_missing("prompt");
    } else if (prompt->is_string()) {
      request_.prompts.emplace_back(prompt->get<std::string>());
    } else if (!prompt->is_array() || prompt->empty()) {
      reader_.fail("prompt", "must be a string, an array of strings, or token ids");
    } else if (prompt->front().is_number()) {
      request_.prompts.emplace_back(read_tokens(*prompt, "prompt"));
    } else if (prompt->size() > kMaxPrompts) {
      reader_.fail("prompt", "has more than 128 prompts");
    } else {
      read_list(*prompt);
    }
  }

  void read_list(const Json& prompts) {
    for (std::size_t i = 0; i < prompts.size() && !error_; ++i) {
      const std::string path = element_path("prompt", i);
      if (prompts[i].is_string()) {
        request_.prompts.emplace_back(prompts[i].get<std::string>());
      } else if (prompts[i].is_array()) {
        request_.prompts.emplace_back(read_tokens(prompts[i], path));
      } else {
        reader_.fail(path, "must be a string or an array of token ids");
      }
    }
  }

  std::vector<TokenId> read_tokens(const Json& list, const std::string& path) {
    std::vector<TokenId> tokens;
    tokens.reserve(list.size());
    for (std::size_t i = 0; i < list.size() && !error_; ++i) {
      const std::int64_t id = list[i].is_number_integer() ? list[i].get<std::int64_t>() : -1;
      if (id < 0 || id > kMaxTokenId) reader_.fail(element_path(path, i), "must be a token id");
      tokens.push_back(static_cast<TokenId>(id));
    }
    return tokens;
  }

  FirstError error_;
  ObjectReader reader_;
  CompletionsRequest request_;
};

/// Makes a request score its prompt: all of it but the first token is sampled, by force.
void force_prompt(engine::Request& request) {
  std::vector<TokenId> forced(request.prompt.begin() + 1, request.prompt.end());
  request.prompt.resize(1);
  request.max_tokens = *request.max_tokens + static_cast<int>(forced.size());
  std::erase_if(request.stop_tokens, [&](TokenId token) {
    return std::find(forced.begin(), forced.end(), token) != forced.end();
  });
  request.mask = std::make_shared<ForcedTokens>(std::move(forced));
}

}  // namespace

std::vector<TokenId> prompt_tokens(
    const CompletionsRequest& request,
    const CompletionPrompt& prompt,
    const tokenizer::Tokenizer& tokenizer
) {
  const auto* text = std::get_if<std::string>(&prompt);
  if (text == nullptr) return std::get<std::vector<TokenId>>(prompt);
  return request.parses_special ? tokenizer.encode_with_specials(*text)
                                : tokenizer.encode_ordinary(*text);
}

ApiResult<CompletionsRequest> read_completions_request(
    const Json& body, const std::string& default_model
) {
  return RequestReader(body).read(default_model);
}

ApiResult<std::vector<engine::Request>> make_engine_requests(
    const CompletionsRequest& request,
    const tokenizer::Tokenizer& tokenizer,
    const std::vector<TokenId>& end_tokens
) {
  std::vector<engine::Request> requests;
  for (const CompletionPrompt& prompt : request.prompts) {
    engine::Request made{
        .prompt = prompt_tokens(request, prompt, tokenizer),
        .sampling = request.sampling,
        .max_tokens = request.max_tokens,
        .stop_tokens = request.goes_past_end ? std::vector<TokenId>() : end_tokens,
        .user = request.user};
    if (made.prompt.empty()) return invalid_request("prompt", "prompt: is empty; give some text");
    if (request.scores_prompt()) force_prompt(made);
    if (*made.max_tokens == 0) {
      return invalid_request("prompt", "prompt: is one token, of which nothing can be scored");
    }
    requests.push_back(std::move(made));
  }
  return requests;
}

}  // namespace gossamer::api
