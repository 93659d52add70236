#pragma once

#include <string_view>
#include <vector>

#include "base/result.h"
#include "tokenizer/vocabulary.h"

namespace gossamer::tokenizer {

/// Reads a tiktoken vocabulary file: a line a token, `base64 rank`, in any order; the rank is the
/// id. Trailing whitespace of a line and empty lines at the end are skipped. The specials are those
/// of o200k_harmony. Errors name the 1-based line.
Result<Vocabulary> read_tiktoken_file(std::string_view file, std::string_view name);

/// The special tokens of o200k_harmony: ids 199998 .. 201088. The last one is decode-only: upstream
/// (openai/harmony) writes its reserved tokens as a range that includes 201088, and decodes it, but
/// the released models have 201,088 rows, so the id must never enter a prompt.
std::vector<SpecialToken> o200k_harmony_specials();

}  // namespace gossamer::tokenizer
