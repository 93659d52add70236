#include "server/response_jobs.h"

#include <boost/asio/post.hpp>
#include <utility>

namespace gossamer::server {

api::Json ResponseJob::object() const {
  const std::lock_guard lock(mutex_);
  return object_;
}

void ResponseJob::set_object(api::Json object) {
  const std::lock_guard lock(mutex_);
  object_ = std::move(object);
}

void ResponseJob::publish(const std::string& event) {
  const std::lock_guard lock(mutex_);
  events_.push_back(event);
  for (const auto& follower : followers_) {
    if (const auto slot = follower.lock()) slot->push(event);
  }
}

std::unique_ptr<Mailbox<std::string>> ResponseJob::follow(const boost::asio::any_io_executor& strand
) {
  auto mailbox = std::make_unique<Mailbox<std::string>>(strand);
  const std::lock_guard lock(mutex_);
  for (const std::string& event : events_) mailbox->slot()->push(event);
  followers_.push_back(mailbox->slot());
  return mailbox;
}

void ResponseJob::cancel() {
  boost::asio::post(strand_, [self = shared_from_this()] {
    self->signal_.emit(boost::asio::cancellation_type::terminal);
  });
}

void ResponseJobs::add(const std::string& id, std::shared_ptr<ResponseJob> job) {
  const std::lock_guard lock(mutex_);
  jobs_.emplace(id, std::move(job));
}

void ResponseJobs::remove(const std::string& id) {
  const std::lock_guard lock(mutex_);
  jobs_.erase(id);
}

std::shared_ptr<ResponseJob> ResponseJobs::find(const std::string& id, const std::string& owner)
    const {
  const std::lock_guard lock(mutex_);
  const auto found = jobs_.find(id);
  if (found == jobs_.end() || found->second->owner() != owner) return nullptr;
  return found->second;
}

void ResponseJobs::cancel_all() {
  const std::lock_guard lock(mutex_);
  for (const auto& [id, job] : jobs_) job->cancel();
}

}  // namespace gossamer::server
