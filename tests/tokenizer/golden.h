#pragma once

#include <string>
#include <string_view>

#include "tokenizer/tokenizer.h"

namespace gossamer::tokenizer {

/// The bytes of a file under tests/golden/.
std::string read_golden(std::string_view path);

/// The built-in tokenizer, loaded once for all tests.
const Tokenizer& o200k();

/// A trained 4,096-token tokenizer.json, whose digits stand alone and whose specials start at 4096.
const Tokenizer& small_tokenizer();

}  // namespace gossamer::tokenizer
