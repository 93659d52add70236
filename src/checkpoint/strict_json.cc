#include "checkpoint/strict_json.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace gossamer::checkpoint {
namespace {

using nlohmann::json;

constexpr std::size_t kMaxDepth = 32;
constexpr std::size_t kMaxPrinted = 120;

/// Builds a document from the parser's events, and stops at the first thing it does not accept.
class DocumentBuilder : public nlohmann::json_sax<json> {
 public:
  bool null() override { return add(nullptr); }
  bool boolean(bool value) override { return add(value); }
  bool number_integer(number_integer_t value) override { return add(value); }
  bool number_unsigned(number_unsigned_t value) override { return add(value); }
  bool number_float(number_float_t value, const string_t&) override { return add(value); }
  bool string(string_t& value) override { return add(std::move(value)); }
  bool binary(binary_t& value) override { return add(std::move(value)); }

  bool start_object(std::size_t) override { return open(json::object()); }
  bool start_array(std::size_t) override { return open(json::array()); }
  bool end_object() override { return close(); }
  bool end_array() override { return close(); }

  bool key(string_t& name) override {
    if (open_.back()->contains(name)) {
      return refuse(fmt::format("the key '{}' is stated twice", printable(name)));
    }
    key_ = std::move(name);
    return true;
  }

  bool parse_error(
      std::size_t position, const std::string&, const nlohmann::detail::exception& cause
  ) override {
    // "[json.exception.parse_error.101] parse error at …: what": the last part is for people.
    const std::string_view message = cause.what();
    const std::size_t colon = message.find(": ");
    return refuse(fmt::format(
        "not valid JSON at byte {}: {}",
        position,
        printable(colon == std::string_view::npos ? message : message.substr(colon + 2))
    ));
  }

  const std::optional<std::string>& trouble() const { return trouble_; }
  json take() { return std::move(root_); }

 private:
  bool refuse(std::string reason) {
    trouble_ = std::move(reason);
    return false;
  }

  json* place(json value) {
    if (open_.empty()) {
      root_ = std::move(value);
      return &root_;
    }
    json& parent = *open_.back();
    if (parent.is_array()) {
      parent.push_back(std::move(value));
      return &parent.back();
    }
    return &(parent[key_] = std::move(value));
  }

  bool add(json value) {
    place(std::move(value));
    return true;
  }

  bool open(json container) {
    if (open_.size() == kMaxDepth) {
      return refuse(fmt::format("JSON nested deeper than {} levels", kMaxDepth));
    }
    open_.push_back(place(std::move(container)));
    return true;
  }

  bool close() {
    open_.pop_back();
    return true;
  }

  json root_;
  std::vector<json*> open_;  // the containers around the current place, outermost first
  std::string key_;
  std::optional<std::string> trouble_;
};

}  // namespace

Result<json> parse_json_object(std::string_view text, std::string_view where) {
  DocumentBuilder builder;
  const bool parsed = json::sax_parse(text, &builder);
  if (!parsed) {
    return make_error(
        ErrorCode::kCorruptData, "{}: {}", where, builder.trouble().value_or("not valid JSON")
    );
  }
  json document = builder.take();
  if (!document.is_object()) {
    return make_error(
        ErrorCode::kCorruptData, "{}: expected a JSON object, found {}", where, document.type_name()
    );
  }
  return document;
}

std::string printable(std::string_view text) {
  std::string shown(text.substr(0, kMaxPrinted));
  std::replace_if(
      shown.begin(), shown.end(), [](unsigned char byte) { return byte < 0x20 || byte > 0x7E; }, '?'
  );
  if (text.size() > kMaxPrinted) shown += "...";
  return shown;
}

}  // namespace gossamer::checkpoint
