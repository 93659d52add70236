#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

namespace gossamer::load {

/// A server-sent event.
struct Event {
  std::string_view name;  ///< empty where it has none
  std::string_view data;
};

/// Finds the events of a stream that comes in pieces.
class EventReader {
 public:
  using EventHandler = std::function<void(const Event&)>;
  explicit EventReader(EventHandler on_event);

  void push(std::string_view bytes);

 private:
  void take_line(std::string_view line);
  void take_data(std::string_view data);

  EventHandler on_event_;
  std::string rest_;  // of the bytes: a line that has not ended
  std::string name_;
  std::string data_;  // of its lines so far
  bool has_data_ = false;
};

/// What the events of an answer told, besides its text.
struct Outcome {
  std::optional<std::int64_t> output_tokens;  ///< none before usage came
  std::string failure;                        ///< the event; empty for none
};

/// Notes what an event of either API says; whether it carries text of the model. Throws
/// nlohmann::json::exception where it is not what such events are.
bool take_event(const Event& event, Outcome& outcome);

}  // namespace gossamer::load
