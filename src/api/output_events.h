#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "api/error.h"
#include "api/object_text.h"
#include "api/output_item.h"

namespace gossamer::api {

/// An event of a stream, named by its type where it is server-sent.
struct StreamEvent {
  std::string type;
  std::string data;  ///< JSON: {"type", "sequence_number", …}
};

/// Writes the events of items in the order that OpenAI's clients insist on, numbering them from 0.
/// An item goes through begin, add_text…, end_text and end, once each; of the server's calls, the
/// call runs between end_text and end. One thread at a time.
class EventWriter {
 public:
  /// An event, for the fields after its type and number to be added to; valid until the next one.
  ObjectText add(std::string_view type);

  /// The item is there, empty.
  void begin(const OutputItem& item);

  /// Text was added to the item; `logprobs` are those of its tokens.
  void add_text(const OutputItem& item, std::string_view delta, const Json& logprobs);

  /// The item's text is whole; or it was cut, when the item is incomplete.
  void end_text(const OutputItem& item);

  /// The item is over: its status and result are final.
  void end(const OutputItem& item);

  /// The events since the last call.
  std::vector<StreamEvent> take() { return std::move(events_); }

 private:
  ObjectText add_for(const OutputItem& item, std::string_view type);

  std::vector<StreamEvent> events_;
  std::int64_t next_number_ = 0;
};

}  // namespace gossamer::api
