#include "harmony/lenient_header.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "tokenizer/utf8.h"

namespace gossamer::harmony {

namespace {

constexpr std::string_view kSpace = " \t\n\v\f\r";
constexpr std::string_view kTo = "to=";
constexpr std::string_view kFunctionsPrefix = "functions.";

using tokenizer::replace_invalid_utf8;
using Words = std::vector<std::string_view>;

/// The words of a text, as views of it.
Words split_words(std::string_view text) {
  Words words;
  std::size_t begin = text.find_first_not_of(kSpace);
  while (begin != std::string_view::npos) {
    const std::size_t end = std::min(text.find_first_of(kSpace, begin), text.size());
    words.push_back(text.substr(begin, end - begin));
    begin = text.find_first_not_of(kSpace, end);
  }
  return words;
}

/// The text from one word through another, with the space between them.
std::string_view between(std::string_view first, std::string_view last) {
  return {first.data(), static_cast<std::size_t>(last.data() + last.size() - first.data())};
}

bool is_name_character(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
         c == '-';
}

bool is_name(std::string_view word) {
  return !word.empty() && std::all_of(word.begin(), word.end(), is_name_character);
}

/// "functions.get_weather", "browser.search", "python": names joined by points.
bool looks_like_tool(std::string_view word) {
  if (word == "python") return true;
  const std::size_t point = word.find('.');
  if (point == std::string_view::npos || !is_name(word.substr(0, point))) return false;
  const std::string_view rest = word.substr(point + 1);
  return is_name(rest) || looks_like_tool(rest);
}

/// "json", "code", "text/plain".
bool looks_like_content_type(std::string_view word) {
  return std::all_of(word.begin(), word.end(), [](char c) {
    return is_name_character(c) || c == '/' || c == '.' || c == '+';
  });
}

/// Reads one header. The two public functions differ in what a word without meaning is: a repair's
/// detail when the header was closed, the beginning of the content when it was not.
class HeaderReader {
 public:
  explicit HeaderReader(const HeaderContext& context) : context_(context) {
    reading_.message.role = context.role.value_or(Role::kAssistant);
  }

  HeaderReading read_closed(std::span<const HeaderSection> sections) {
    const bool has_recipient = mentions_recipient(sections);
    for (const HeaderSection& section : sections) {
      const Words words = split_words(section.text);
      if (!section.marker) {
        is_glued_to_role_ = context_.role && section.text.find_first_of(kSpace) != 0;
        read_role_section(words, has_recipient, sections.size() == 1);
      } else if (section.marker == Marker::kChannel) {
        read_channel_section(words);
      } else {
        read_constrain_section(section.text, words);
      }
    }
    place_plain_words();
    check_recipient();
    return std::move(reading_);
  }

  HeaderReading read_open(std::span<const HeaderSection> sections) {
    for (std::size_t i = 0; i < sections.size(); ++i) {
      const std::string_view rest = read_open_section(sections[i]);
      if (rest.empty()) continue;
      reading_.text_after = rest;
      for (const HeaderSection& later : sections.subspan(i + 1)) {
        note(Repair::kMisplacedMarker, marker_text(*later.marker));
        reading_.text_after += later.text;
      }
      break;
    }
    check_recipient();
    return std::move(reading_);
  }

 private:
  void note(Repair repair, std::string_view detail) {
    reading_.repairs.push_back({repair, replace_invalid_utf8(detail)});
  }

  bool is_channel(std::string_view word) const {
    return std::find(context_.channels.begin(), context_.channels.end(), word) !=
           context_.channels.end();
  }

  bool is_known(const std::optional<std::string>& channel) const {
    return channel && is_channel(*channel);
  }

  static bool mentions_recipient(std::span<const HeaderSection> sections) {
    return std::any_of(sections.begin(), sections.end(), [](const HeaderSection& section) {
      const Words words = split_words(section.text);
      return std::any_of(words.begin(), words.end(), [](std::string_view word) {
        return word.starts_with(kTo);
      });
    });
  }

  void set_channel(std::string_view word) {
    auto& channel = reading_.message.channel;
    if (channel) {
      note(Repair::kRepeatedChannel, fmt::format("{} {}", *channel, word));
      if (is_known(channel) && !is_channel(word)) return;
    } else if (!is_channel(word)) {
      note(Repair::kUnknownChannel, word);
    }
    channel = replace_invalid_utf8(word);
  }

  void set_recipient(std::string_view word) {
    auto& recipient = reading_.message.recipient;
    if (recipient) {
      note(Repair::kRepeatedRecipient, fmt::format("{} {}", *recipient, word));
    }
    recipient = replace_invalid_utf8(word);
  }

  /// Takes "to=x", or "to=" and then "x". False, and nothing taken, when the words begin otherwise.
  bool take_recipient(Words& words) {
    if (words.empty() || !words.front().starts_with(kTo)) return false;
    std::string_view recipient = words.front().substr(kTo.size());
    words.erase(words.begin());
    if (recipient.empty() && !words.empty()) {
      recipient = words.front();
      words.erase(words.begin());
    }
    if (!recipient.empty()) set_recipient(recipient);
    return true;
  }

  bool take_channel_word(Words& words) {
    if (words.empty() || reading_.message.channel || !is_channel(words.front())) return false;
    note(Repair::kChannelInRolePosition, words.front());
    set_channel(words.front());
    words.erase(words.begin());
    return true;
  }

  /// Takes a role that has something glued to it: "user:bob", "assistantto=python",
  /// "assistantanalysis". What follows the role becomes the first word, unless it is a name.
  bool take_glued_role(Words& words) {
    for (const Role role : {Role::kUser, Role::kAssistant, Role::kSystem, Role::kDeveloper}) {
      if (!words.front().starts_with(role_name(role))) continue;
      const std::string_view rest = words.front().substr(role_name(role).size());
      if (rest.starts_with(':')) {
        reading_.message.name = replace_invalid_utf8(rest.substr(1));
        words.erase(words.begin());
      } else if (rest.starts_with(kTo) || is_channel(rest)) {
        words.front() = rest;
      } else {
        continue;
      }
      reading_.message.role = role;
      return true;
    }
    return false;
  }

  void set_tool(Words& words) {
    reading_.message.role = Role::kTool;
    reading_.message.name = replace_invalid_utf8(words.front());
    words.erase(words.begin());
  }

  /// Takes a role that is certain: a known one, or the name of a tool.
  bool take_known_author(Words& words) {
    if (words.empty()) return false;
    if (const auto role = role_from_name(words.front())) {
      reading_.message.role = *role;
      if (*role == Role::kTool) reading_.message.name = role_name(*role);
      words.erase(words.begin());
      return true;
    }
    if (take_glued_role(words)) return true;
    if (!looks_like_tool(words.front())) return false;
    set_tool(words);
    return true;
  }

  /// The role given by the prompt, which the model may repeat.
  void take_repeated_role(Words& words) {
    if (words.empty() || words.front() != role_name(*context_.role)) return;
    note(Repair::kRepeatedRole, words.front());
    words.erase(words.begin());
  }

  void read_author(Words& words, bool has_recipient, bool is_only_section) {
    if (context_.role) return take_repeated_role(words);
    if (take_known_author(words)) return;
    const bool is_field =
        words.empty() || words.front().starts_with(kTo) || is_channel(words.front());
    if (is_field) return note(Repair::kMissingRole, "");
    const bool is_tool = is_name(words.front()) && words.size() == 1 && is_only_section;
    if (is_tool) note(Repair::kUnknownRole, words.front());
    if (is_tool || has_recipient) return set_tool(words);
    note(Repair::kMissingRole, words.front());
  }

  void read_role_section(Words words, bool has_recipient, bool is_only_section) {
    read_author(words, has_recipient, is_only_section);
    while (take_recipient(words) || take_channel_word(words)) {
    }
    if (words.empty()) return;
    Words last = {words.back()};
    if (take_recipient(last)) words.pop_back();
    const bool is_field = (words.size() == 1 && !is_glued_to_role_) ||
                          (words.size() <= 2 && looks_like_tool(words[0]));
    if (is_field) {
      plain_words_.insert(plain_words_.end(), words.begin(), words.end());
      return;
    }
    const std::string_view prose = between(words.front(), words.back());
    note(Repair::kTextBeforeHeader, prose);
    reading_.text_before = prose;
  }

  /// The first word after `<|channel|>`, when it is not a channel: a channel with something glued
  /// to it, or unknown.
  void read_odd_channel(std::string_view word) {
    for (const std::string& channel : context_.channels) {
      if (!word.starts_with(channel)) continue;
      set_channel(channel);
      Words rest = {word.substr(channel.size())};
      if (!take_recipient(rest)) note(Repair::kUnexpectedHeaderText, rest.front());
      return;
    }
    set_channel(word);
  }

  void read_channel_section(Words words) {
    if (words.empty() || words.front().starts_with(kTo)) {
      note(Repair::kMissingChannelName, "");
    } else {
      if (is_channel(words.front())) {
        set_channel(words.front());
      } else {
        read_odd_channel(words.front());
      }
      words.erase(words.begin());
    }
    while (!words.empty()) {
      if (take_recipient(words)) continue;
      if (is_channel(words.front())) {
        set_channel(words.front());
      } else {
        plain_words_.push_back(words.front());
      }
      words.erase(words.begin());
    }
  }

  void set_constrained_type(std::string_view type) {
    if (reading_.message.content_type) {
      note(Repair::kUnexpectedHeaderText, *reading_.message.content_type);
    }
    reading_.message.content_type =
        std::string(marker_text(Marker::kConstrain)) + replace_invalid_utf8(type);
  }

  void read_constrain_section(std::string_view text, Words words) {
    std::string_view type;
    if (!words.empty() && !words.front().starts_with(kTo)) {
      type = words.front();
      words.erase(words.begin());
      if (type.data() != text.data()) note(Repair::kSpaceAfterConstrain, type);
    }
    set_constrained_type(type);
    while (!words.empty()) {
      if (take_recipient(words)) continue;
      note(Repair::kUnexpectedHeaderText, words.front());
      words.erase(words.begin());
    }
  }

  /// Gives the words that no marker and no "to=" explained a meaning, or a place in a repair.
  void place_plain_words() {
    Message& message = reading_.message;
    Words& words = plain_words_;
    if (words.empty()) return;
    if (!message.recipient && looks_like_tool(words.front())) {
      note(Repair::kRecipientWithoutTo, words.front());
      set_recipient(words.front());
      words.erase(words.begin());
    }
    if (words.size() == 1 && !message.content_type && looks_like_content_type(words.front())) {
      message.content_type = words.front();
    } else if (!words.empty()) {
      note(Repair::kUnexpectedHeaderText, fmt::format("{}", fmt::join(words, " ")));
    }
  }

  void check_recipient() {
    const Message& message = reading_.message;
    if (message.recipient && message.recipient->starts_with(kFunctionsPrefix) &&
        message.channel == "analysis") {
      note(Repair::kFunctionCallOnAnalysis, *message.recipient);
    }
  }

  /// Reads the fields that a section of an open header begins with; returns the text after them.
  std::string_view read_open_section(const HeaderSection& section) {
    const std::string_view text = section.text;
    Words words = split_words(text);
    if (section.marker == Marker::kConstrain) return read_open_constrain(text, words);
    if (section.marker == Marker::kChannel) {
      if (!words.empty() && is_channel(words.front())) {
        set_channel(words.front());
        words.erase(words.begin());
      } else if (words.empty() || words.front().starts_with(kTo)) {
        note(Repair::kMissingChannelName, "");
      }
    } else if (context_.role) {
      take_repeated_role(words);
    } else if (!take_known_author(words)) {
      note(Repair::kMissingRole, "");
    }
    while (take_recipient(words) || (!section.marker && take_channel_word(words))) {
    }
    return words.empty() ? "" : text.substr(words.front().data() - text.data());
  }

  std::string_view read_open_constrain(std::string_view text, const Words& words) {
    if (words.empty()) {
      set_constrained_type("");
      return "";
    }
    std::string_view rest = text.substr(words.front().data() - text.data());
    if (words.front().data() != text.data()) note(Repair::kSpaceAfterConstrain, words.front());
    const auto* const end = std::find_if_not(rest.begin(), rest.end(), is_name_character);
    const auto length = static_cast<std::size_t>(end - rest.begin());
    set_constrained_type(rest.substr(0, length));
    rest.remove_prefix(length);
    return rest.substr(std::min(rest.find_first_not_of(kSpace), rest.size()));
  }

  const HeaderContext& context_;
  HeaderReading reading_;
  Words plain_words_;
  bool is_glued_to_role_ = false;  // the first word follows the prompt's role without a space
};

}  // namespace

HeaderReading read_closed_header(
    std::span<const HeaderSection> sections, const HeaderContext& context
) {
  return HeaderReader(context).read_closed(sections);
}

HeaderReading read_open_header(
    std::span<const HeaderSection> sections, const HeaderContext& context
) {
  return HeaderReader(context).read_open(sections);
}

}  // namespace gossamer::harmony
