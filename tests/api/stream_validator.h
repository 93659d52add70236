#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "api/output_events.h"

namespace gossamer::api {

/// Reads a stream of events as the strictest client does, and keeps the first thing that such a
/// client would not accept.
class StreamValidator {
 public:
  void take(const StreamEvent& event);
  void take(const std::vector<StreamEvent>& events) {
    for (const StreamEvent& event : events) take(event);
  }

  /// What is wrong; nothing when the stream is complete and right.
  std::string problem() const;

  /// Items as output_item.done showed them.
  const std::vector<Json>& items() const { return items_; }

  /// The response of the last event that had one.
  const Json& response() const { return response_; }

 private:
  void fail(const std::string& what);
  void take_lifecycle(const std::string& type, const Json& event);
  void take_added(const Json& event);
  void take_done(const Json& event);
  void take_item_event(const std::string& type, const Json& event);
  void take_part(const std::string& type, const Json& event);
  void take_text(const std::string& type, const Json& event, Json& item);
  Json* item_at(const Json& event);

  std::string problem_;
  bool has_begun_ = false;
  bool is_over_ = false;
  std::int64_t next_number_ = 0;
  std::vector<Json> items_;
  std::vector<bool> is_done_;
  std::map<std::size_t, bool> text_is_done_;
  std::set<std::string> identities_;
  Json response_;
};

}  // namespace gossamer::api
