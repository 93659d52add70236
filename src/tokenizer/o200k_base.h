#pragma once

#include <string_view>

namespace gossamer::tokenizer {

/// The file data/o200k_base.tiktoken, built into the program: 199,998 lines of `base64 rank`.
std::string_view o200k_base_file();

/// Its SHA-256 in lowercase hex, as published with it; the build refuses another file.
inline constexpr std::string_view kO200kBaseSha256 =
    "446a9538cb6c348e3516120d7c08b09f57c36495e2acfffe59a5bf8b0cfb1a2d";

}  // namespace gossamer::tokenizer
