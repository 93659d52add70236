#include "tests/tokenizer/golden.h"

#include "base/mapped_file.h"

namespace gossamer::tokenizer {

std::string read_golden(std::string_view path) {
  const MappedFile file =
      MappedFile::open(std::string(GOSSAMER_GOLDEN_DIR "/").append(path)).value();
  return {reinterpret_cast<const char*>(file.bytes().data()), file.bytes().size()};
}

const Tokenizer& o200k() {
  static const Tokenizer kTokenizer = Tokenizer::o200k_harmony().value();
  return kTokenizer;
}

const Tokenizer& small_tokenizer() {
  static const Tokenizer kTokenizer =
      Tokenizer::from_json(read_golden("pilot/tokenizer.json"), "small").value();
  return kTokenizer;
}

}  // namespace gossamer::tokenizer
