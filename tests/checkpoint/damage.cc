#include "tests/checkpoint/damage.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cctype>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <utility>

#include "checkpoint/checkpoint.h"
#include "tests/checkpoint/scratch_directory.h"

namespace gossamer::checkpoint {
namespace {

namespace fs = std::filesystem;
using nlohmann::ordered_json;
using testing::HasSubstr;

constexpr std::size_t kLengthBytes = 8;

std::string read_file(const fs::path& path) {
  std::ostringstream text;
  text << std::ifstream(path, std::ios::binary).rdbuf();
  return text.str();
}

std::uint64_t header_length(const std::string& file) {
  std::uint64_t length = 0;
  std::memcpy(&length, file.data(), kLengthBytes);
  return length;
}

void edit_config(Files& files, const std::function<void(ordered_json&)>& edit) {
  auto config = ordered_json::parse(files[kConfig]);
  edit(config);
  files[kConfig] = config.dump();
}

}  // namespace

std::string header_text(const std::string& file) {
  return file.substr(kLengthBytes, header_length(file));
}

std::string with_header(std::uint64_t stated_length, const std::string& header) {
  std::string bytes(kLengthBytes, '\0');
  std::memcpy(bytes.data(), &stated_length, kLengthBytes);
  return bytes + header;
}

void replace_header_text(Files& files, const std::string& text) {
  std::string& file = files[kModel];
  const std::string payload = file.substr(kLengthBytes + header_length(file));
  file = with_header(text.size(), text) + payload;
}

void edit_header(Files& files, const std::function<void(ordered_json&)>& edit) {
  const std::string& file = files[kModel];
  auto header = ordered_json::parse(header_text(file));
  edit(header);
  replace_header_text(files, header.dump());
}

void replace_once(std::string& text, const std::string& from, const std::string& to) {
  const std::size_t place = text.find(from);
  ASSERT_NE(place, std::string::npos) << from;
  text.replace(place, from.size(), to);
}

char& first_byte(Files& files, const std::string& tensor) {
  std::string& file = files[kModel];
  const std::uint64_t length = header_length(file);
  const auto header = ordered_json::parse(file.substr(kLengthBytes, length));
  const std::uint64_t begin = header[tensor]["data_offsets"][0];
  return file[kLengthBytes + length + begin];
}

std::function<void(Files&)> set_config(const char* key, ordered_json value) {
  return
      [=](Files& files) { edit_config(files, [&](ordered_json& config) { config[key] = value; }); };
}

std::function<void(Files&)> set_rope(const char* key, ordered_json value) {
  return [=](Files& files) {
    edit_config(files, [&](ordered_json& config) { config["rope_scaling"][key] = value; });
  };
}

std::function<void(Files&)> set_tensor(const char* tensor, const char* key, ordered_json value) {
  return [=](Files& files) {
    edit_header(files, [&](ordered_json& header) { header[tensor][key] = value; });
  };
}

std::function<void(Files&)> rename_tensor(const char* from, const char* to) {
  return [=](Files& files) {
    edit_header(files, [&](ordered_json& header) {
      header[to] = header[from];
      header.erase(from);
    });
  };
}

std::function<void(Files&)> replace_file(const char* name, std::string content) {
  return [name, content = std::move(content)](Files& files) { files[name] = content; };
}

void expect_refused(const Damage& damage) {
  const fs::path golden = fs::path(GOSSAMER_GOLDEN_DIR) / "tiny" / damage.layout;
  Files files = {{kConfig, read_file(golden / kConfig)}, {kModel, read_file(golden / kModel)}};
  damage.inflict(files);
  const ScratchDirectory scratch;
  for (const auto& [name, content] : files) {
    std::ofstream(scratch.path() / name, std::ios::binary) << content;
  }
  const auto checkpoint = Checkpoint::open(scratch.path().string());
  ASSERT_FALSE(checkpoint.ok());
  EXPECT_THAT(checkpoint.error().message, HasSubstr(scratch.path().string()));
  for (const std::string& part : damage.error_says) {
    EXPECT_THAT(checkpoint.error().message, HasSubstr(part));
  }
}

std::string to_test_name(const Damage& damage) {
  std::string name;
  bool starts_word = true;
  for (const char* c = damage.what; *c != '\0'; ++c) {
    const auto letter = static_cast<unsigned char>(*c);
    const bool belongs = std::isalnum(letter) != 0;
    if (belongs) name += static_cast<char>(starts_word ? std::toupper(letter) : letter);
    starts_word = !belongs;
  }
  return name;
}

}  // namespace gossamer::checkpoint
