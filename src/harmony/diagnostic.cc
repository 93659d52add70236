#include "harmony/diagnostic.h"

namespace gossamer::harmony {

namespace {

struct RepairText {
  std::string_view name;
  std::string_view description;
};

constexpr std::array<RepairText, kNumRepairs> kTexts = {{
    {"missing_start", "a message began without <|start|>"},
    {"repeated_start", "<|start|> again, before anything followed the first"},
    {"missing_role", "a header without a role; read as the assistant's"},
    {"repeated_role", "the role again, after the prompt already gave it"},
    {"unknown_role", "an author that is neither a role nor looks like a tool; kept as a tool"},
    {"channel_in_role_position", "a channel word without <|channel|> before it"},
    {"missing_channel_name", "<|channel|> without a word after it"},
    {"unknown_channel", "a word after <|channel|> that is no channel"},
    {"repeated_channel", "more than one channel; the last known one counts"},
    {"recipient_without_to", "a tool's name without \"to=\" before it; read as the recipient"},
    {"repeated_recipient", "more than one recipient; the last counts"},
    {"space_after_constrain", "a space between <|constrain|> and the content type"},
    {"unexpected_header_text", "header words with no meaning; left out of the content"},
    {"text_before_header", "prose where a header belongs; kept as a message of its own"},
    {"missing_message", "no <|message|>; the text after the header is the content"},
    {"missing_end", "the next message began before this one ended"},
    {"misplaced_marker", "a structural token where it means nothing; left out"},
    {"stray_stop", "a token that ends a message, where there is none"},
    {"unexpected_special", "a special token that is not part of the format; left out"},
    {"unknown_token", "an id outside the vocabulary; left out"},
    {"invalid_utf8", "bytes that are not UTF-8; U+FFFD in the text"},
    {"function_call_on_analysis", "a function called outside the commentary channel"},
    {"stream_cut", "the stream ended inside a message"},
}};

}  // namespace

std::string_view repair_name(Repair repair) {
  return kTexts[static_cast<std::size_t>(repair)].name;
}

std::string_view repair_description(Repair repair) {
  return kTexts[static_cast<std::size_t>(repair)].description;
}

bool keeps_sampled_form(Repair repair) {
  return repair == Repair::kInvalidUtf8 || repair == Repair::kFunctionCallOnAnalysis ||
         repair == Repair::kStreamCut;
}

}  // namespace gossamer::harmony
