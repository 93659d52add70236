// Feeds bytes to the config.json reader. What it accepts must be valid, and survive being written
// in Hugging Face's keys and read again.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "base/check.h"
#include "checkpoint/config_json.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  namespace checkpoint = gossamer::checkpoint;
  const std::string_view text(reinterpret_cast<const char*>(data), size);  // NOLINT
  const auto parsed = checkpoint::parse_config(text, "config.json");
  if (!parsed.ok()) {
    GOSSAMER_CHECK(!parsed.error().message.empty());
    return 0;
  }
  GOSSAMER_CHECK(gossamer::model::validate(parsed->config, "config.json").ok());
  const auto again =
      checkpoint::parse_config(checkpoint::to_hugging_face_json(parsed->config), "config.json");
  GOSSAMER_CHECK(again.ok() && again->config == parsed->config);
  GOSSAMER_CHECK(again->warnings.empty());
  return 0;
}
