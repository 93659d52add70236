#include "apps/gossamer/text_input.h"

#include <cstdio>
#include <filesystem>
#include <string_view>

#include "base/mapped_file.h"
#include "checkpoint/synthetic_spec.h"
#include "demo_model/demo_model.h"

namespace gossamer::apps {

using tokenizer::Tokenizer;

Result<Tokenizer> load_tokenizer(const std::string& model) {
  if (model.empty() || checkpoint::synthetic_text(model)) return Tokenizer::o200k_harmony();
  if (model == "demo") {
    GOSSAMER_ASSIGN_OR_RETURN(const auto checkpoint, demo_model::open());
    return Tokenizer::from_json(
        checkpoint.tokenizer_json().value_or(""), "the demo's tokenizer.json"
    );
  }
  std::filesystem::path file = model;
  if (std::filesystem::is_directory(file)) {
    file /= "tokenizer.json";
    if (!std::filesystem::exists(file)) return Tokenizer::o200k_harmony();
  }
  GOSSAMER_ASSIGN_OR_RETURN(const MappedFile mapped, MappedFile::open(file));
  const auto bytes = mapped.bytes();
  const std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  return Tokenizer::from_json(text, file.string());
}

Result<std::string> read_stdin() {
  std::string text;
  std::size_t size = 0;
  do {
    constexpr std::size_t kChunk = 1 << 20;
    text.resize(size + kChunk);
    size += std::fread(text.data() + size, 1, kChunk, stdin);
  } while (size == text.size());
  if (std::ferror(stdin) != 0) return make_error(ErrorCode::kIo, "stdin: cannot read");
  text.resize(size);
  return text;
}

}  // namespace gossamer::apps
