#pragma once

#include <string>

#include "base/result.h"
#include "tokenizer/tokenizer.h"

namespace gossamer::apps {

/// The tokenizer of `--model`: a tokenizer.json, or a checkpoint directory, whose tokenizer.json is
/// used if it has one, or "demo". The built-in o200k_harmony otherwise.
Result<tokenizer::Tokenizer> load_tokenizer(const std::string& model);

/// All of stdin, byte for byte.
Result<std::string> read_stdin();

}  // namespace gossamer::apps
