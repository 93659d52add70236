#include "tokenizer/character_class.h"

#include <algorithm>
#include <cstddef>

#include "tokenizer/character_class_ranges.h"

namespace gossamer::tokenizer {
namespace {

constexpr std::uint32_t kClassBits = 3;

constexpr CharacterClass class_of_run(std::uint32_t run) {
  return static_cast<CharacterClass>(run & ((1U << kClassBits) - 1));
}

constexpr std::uint32_t start_of_run(std::uint32_t run) {
  return run >> kClassBits;
}

// Runs on the outside and a plain pointer inside: clang limits the steps of a constant expression.
constexpr std::array<CharacterClass, 0x10000> expand_bmp() {
  std::array<CharacterClass, 0x10000> classes{};
  CharacterClass* const out = classes.data();
  for (std::size_t run = 0; start_of_run(kCharacterClassRuns[run]) < 0x10000; ++run) {
    const CharacterClass cls = class_of_run(kCharacterClassRuns[run]);
    const std::uint32_t end =
        std::min<std::uint32_t>(start_of_run(kCharacterClassRuns[run + 1]), 0x10000);
    for (std::uint32_t c = start_of_run(kCharacterClassRuns[run]); c < end; ++c) out[c] = cls;
  }
  return classes;
}

}  // namespace

constexpr std::array<CharacterClass, 0x10000> kBmpCharacterClasses = expand_bmp();

CharacterClass astral_character_class(char32_t code_point) {
  // The last run that starts at or before the code point.
  const std::uint32_t key = (static_cast<std::uint32_t>(code_point) + 1) << kClassBits;
  const auto* const next =
      std::lower_bound(kCharacterClassRuns.begin(), kCharacterClassRuns.end(), key);
  return class_of_run(*(next - 1));
}

}  // namespace gossamer::tokenizer
