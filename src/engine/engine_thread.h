#pragma once

#include <cstdint>
#include <memory>
#include <thread>
#include <unordered_map>
#include <vector>

#include "engine/engine.h"
#include "engine/generator.h"

namespace gossamer::engine {

struct EngineThreadOptions {
  /// Requests that may be under way beyond those that the engine runs at once; more are kBusy.
  int max_queue = 256;
};

/// An engine and the one thread that steps it. The thread sleeps when there is nothing to do. When
/// the engine fails (an exception of its backend), every request under way ends with the error, and
/// later ones are refused with it (kIo). A handler that throws cancels its request.
class EngineThread final : public Generator {
 public:
  EngineThread(std::unique_ptr<Engine> engine, EngineThreadOptions options);

  /// Stops the thread, within a step; requests under way end with an error. Generations may outlive
  /// the generator.
  ~EngineThread() override;

  Result<std::unique_ptr<Generation>> submit(Request request, UpdateHandler on_update) override;
  GeneratorStatus status() const override;

 private:
  class Ticket;
  struct Mailbox;
  class Handle;
  struct Mail;

  void run();
  void serve();
  void read_mail();
  void step();
  void drop(SequenceId id);
  void publish_status();
  void end_all(const Error& error);

  std::unique_ptr<Engine> engine_;  // the thread's, but for check()
  int max_in_flight_;
  std::shared_ptr<Mailbox> mailbox_;
  std::unique_ptr<Mail> mail_;  // the thread's: what it took out of the mailbox
  std::unordered_map<SequenceId, std::shared_ptr<Ticket>> tickets_;  // the thread's
  std::uint64_t num_cancelled_early_ = 0;  // the thread's: before the engine had them
  std::thread thread_;
};

}  // namespace gossamer::engine
