#include "engine/engine_thread.h"

#include <atomic>
#include <condition_variable>
#include <exception>
#include <mutex>
#include <optional>
#include <utility>

#include "base/check.h"

namespace gossamer::engine {

/// What engine thread and Generation share about one request.
class EngineThread::Ticket {
 public:
  explicit Ticket(UpdateHandler handler) : handler_(std::move(handler)) {}

  /// Passes an update on; false when nobody wants more of them. The lock is this request's own:
  /// only its Generation's destructor ever waits for its handler.
  bool deliver(const Update& update) {
    const std::lock_guard lock(mutex_);
    if (cancelled_ || ended_) return false;
    if (update.finish || update.error) ended_ = true;
    try {
      handler_(update);
    } catch (...) {
      // One caller's trouble must not end all others' requests.
      cancelled_ = true;
      return false;
    }
    return true;
  }

  /// No update is delivered after this. Returns whether the request is still to be stopped.
  bool cancel() {
    UpdateHandler handler;  // destroyed after the lock: it may own anything
    const std::lock_guard lock(mutex_);
    cancelled_ = true;
    handler.swap(handler_);
    return !ended_;
  }

  bool cancelled() const {
    const std::lock_guard lock(mutex_);
    return cancelled_;
  }

  SequenceId sequence = 0;  // the engine thread's; 0 before and after its life there

 private:
  mutable std::mutex mutex_;
  UpdateHandler handler_;
  bool cancelled_ = false;
  bool ended_ = false;
};

/// What arrived between two steps.
struct EngineThread::Mail {
  struct Submission {
    Request request;
    std::shared_ptr<Ticket> ticket;
  };
  std::vector<Submission> submissions;
  std::vector<std::shared_ptr<Ticket>> cancelled;

  bool empty() const { return submissions.empty() && cancelled.empty(); }
};

/// Where other threads leave things for the engine thread, and it for them. The lock is held for
/// moments only, never during a step.
struct EngineThread::Mailbox {
  std::mutex mutex;
  std::condition_variable arrived;
  Mail mail;
  bool stopping = false;
  std::optional<Error> failure;
  GeneratorStatus status;  // when the engine thread last looked
};

/// A caller's hold on a request.
class EngineThread::Handle final : public Generation {
 public:
  Handle(std::shared_ptr<Mailbox> mailbox, std::shared_ptr<Ticket> ticket)
      : mailbox_(std::move(mailbox)), ticket_(std::move(ticket)) {}
  Handle(const Handle&) = delete;
  Handle& operator=(const Handle&) = delete;

  ~Handle() override {
    if (!ticket_->cancel()) return;
    {
      const std::lock_guard lock(mailbox_->mutex);
      mailbox_->mail.cancelled.push_back(std::move(ticket_));
    }
    mailbox_->arrived.notify_one();
  }

 private:
  std::shared_ptr<Mailbox> mailbox_;
  std::shared_ptr<Ticket> ticket_;
};

EngineThread::EngineThread(std::unique_ptr<Engine> engine, EngineThreadOptions options)
    : engine_(std::move(engine)),
      max_in_flight_(engine_->max_sequences() + options.max_queue),
      mailbox_(std::make_shared<Mailbox>()),
      mail_(std::make_unique<Mail>()) {
  mailbox_->status = engine_->status();
  thread_ = std::thread([this] { run(); });
}

EngineThread::~EngineThread() {
  {
    const std::lock_guard lock(mailbox_->mutex);
    mailbox_->stopping = true;
  }
  mailbox_->arrived.notify_one();
  thread_.join();
}

Result<std::unique_ptr<Generation>> EngineThread::submit(Request request, UpdateHandler on_update) {
  GOSSAMER_CHECK(on_update != nullptr);
  GOSSAMER_RETURN_IF_ERROR(engine_->check(request));
  auto ticket = std::make_shared<Ticket>(std::move(on_update));
  {
    const std::lock_guard lock(mailbox_->mutex);
    if (mailbox_->failure) return *mailbox_->failure;
    const int in_flight = mailbox_->status.num_running + mailbox_->status.num_waiting +
                          static_cast<int>(mailbox_->mail.submissions.size());
    if (in_flight >= max_in_flight_) {
      return make_error(
          ErrorCode::kBusy,
          "{} requests are under way, as many as this server takes; try again later",
          in_flight
      );
    }
    mailbox_->mail.submissions.push_back({std::move(request), ticket});
  }
  mailbox_->arrived.notify_one();
  return std::unique_ptr<Generation>(std::make_unique<Handle>(mailbox_, std::move(ticket)));
}

GeneratorStatus EngineThread::status() const {
  const std::lock_guard lock(mailbox_->mutex);
  GeneratorStatus status = mailbox_->status;
  status.num_waiting += static_cast<int>(mailbox_->mail.submissions.size());
  status.failure = mailbox_->failure;
  return status;
}

void EngineThread::run() {
  Error end{ErrorCode::kBusy, "the server is shutting down"};
  try {
    serve();
  } catch (const std::exception& exception) {
    end = make_error(
        ErrorCode::kIo, "the engine failed and has stopped: {}; restart it", exception.what()
    );
  } catch (...) {
    end = make_error(ErrorCode::kIo, "the engine failed and has stopped; restart it");
  }
  end_all(end);
}

void EngineThread::serve() {
  for (;;) {
    {
      std::unique_lock lock(mailbox_->mutex);
      mailbox_->arrived.wait(lock, [this] {
        return mailbox_->stopping || !mailbox_->mail.empty() || !engine_->idle();
      });
      if (mailbox_->stopping) return;
      std::swap(*mail_, mailbox_->mail);
      // Until they are in the engine's own count.
      mailbox_->status.num_waiting += static_cast<int>(mail_->submissions.size());
    }
    read_mail();
    step();
    publish_status();
  }
}

void EngineThread::read_mail() {
  for (Mail::Submission& submission : mail_->submissions) {
    if (submission.ticket->cancelled()) {
      ++num_cancelled_early_;
      continue;
    }
    const auto id = engine_->submit(std::move(submission.request));
    if (!id.ok()) {
      submission.ticket->deliver({.error = id.error()});
      continue;
    }
    tickets_.emplace(*id, submission.ticket);
    submission.ticket->sequence = *id;
  }
  for (const auto& ticket : mail_->cancelled) {
    if (ticket->sequence != 0) drop(ticket->sequence);
  }
  mail_->submissions.clear();
  mail_->cancelled.clear();
}

void EngineThread::step() {
  for (const Output& output : engine_->step()) {
    const auto place = tickets_.find(output.sequence);
    if (place == tickets_.end()) continue;
    const Update update{
        .sampled = output.sampled,
        .finish = output.finish,
        .num_cached_tokens = output.num_cached_tokens};
    const bool wanted = place->second->deliver(update);
    if (!wanted || output.finish) drop(output.sequence);
  }
}

void EngineThread::drop(SequenceId id) {
  engine_->cancel(id);
  const auto place = tickets_.find(id);
  if (place == tickets_.end()) return;
  place->second->sequence = 0;
  tickets_.erase(place);
}

void EngineThread::publish_status() {
  GeneratorStatus status = engine_->status();
  status.num_cancelled += num_cancelled_early_;
  const std::lock_guard lock(mailbox_->mutex);
  mailbox_->status = status;
}

void EngineThread::end_all(const Error& error) {
  Mail unread;
  {
    const std::lock_guard lock(mailbox_->mutex);
    mailbox_->failure = error;
    std::swap(unread, mailbox_->mail);
    mailbox_->status.num_waiting = 0;
    mailbox_->status.num_running = 0;
    mailbox_->status.free_blocks = mailbox_->status.total_blocks;
  }
  // A request can be in two of these when the failure came in between: it is told once.
  for (const auto& [id, ticket] : tickets_) ticket->deliver({.error = error});
  for (const Mail* mail : {mail_.get(), &unread}) {
    for (const auto& submission : mail->submissions) submission.ticket->deliver({.error = error});
  }
  tickets_.clear();
}

}  // namespace gossamer::engine
