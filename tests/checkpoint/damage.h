#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <nlohmann/json.hpp>
#include <ostream>
#include <string>
#include <vector>

namespace gossamer::checkpoint {

inline constexpr const char* kConfig = "config.json";
inline constexpr const char* kModel = "model.safetensors";

/// A checkpoint's files by name, to be damaged before they are written.
using Files = std::map<std::string, std::string>;

/// A way to damage a checkpoint, and what the error must say.
struct Damage {
  const char* what;
  const char* layout;  ///< the folder of the tiny golden to start from
  std::function<void(Files&)> inflict;
  std::vector<std::string> error_says;
};

/// The damage in words, as a test's name: letters and digits only.
std::string to_test_name(const Damage& damage);

/// Damages the tiny golden checkpoint, writes it to a directory and expects that opening it fails
/// with the error that the damage calls for.
void expect_refused(const Damage& damage);

// A safetensors file.
std::string with_header(std::uint64_t stated_length, const std::string& header);
std::string header_text(const std::string& file);
char& first_byte(Files& files, const std::string& tensor);

// Ways to damage. The tensors' bytes stay where they are.
void replace_header_text(Files& files, const std::string& text);
void edit_header(Files& files, const std::function<void(nlohmann::ordered_json&)>& edit);
void replace_once(std::string& text, const std::string& from, const std::string& to);
std::function<void(Files&)> set_config(const char* key, nlohmann::ordered_json value);
std::function<void(Files&)> set_rope(const char* key, nlohmann::ordered_json value);
std::function<void(Files&)> set_tensor(
    const char* tensor, const char* key, nlohmann::ordered_json value
);
std::function<void(Files&)> rename_tensor(const char* from, const char* to);
std::function<void(Files&)> replace_file(const char* name, std::string content);

}  // namespace gossamer::checkpoint
