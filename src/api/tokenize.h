#pragma once

#include "api/chat_completions_request.h"
#include "api/json_reader.h"
#include "harmony/encoding.h"

namespace gossamer::api {

/// Answers POST /tokenize: {"prompt": text} (or "text", or "content", as other
/// servers name it) or {"messages": […], …as Chat Completions} gives
/// {"count", "max_model_len", "tokens", "token_strs"}. In a prompt "parse_special" makes
/// "<|start|>" and the like the tokens; messages end where the model would go on, unless
/// "add_generation_prompt" is false; "return_token_strs" asks for the tokens' texts.
ApiResult<Json> tokenize(
    const Json& body,
    const harmony::Encoding& encoding,
    const ChatDefaults& defaults,
    int context_length
);

/// Answers POST /detokenize: {"tokens": [ids]} gives {"prompt": text}, special tokens written out.
ApiResult<Json> detokenize(const Json& body, const tokenizer::Tokenizer& tokenizer);

}  // namespace gossamer::api
