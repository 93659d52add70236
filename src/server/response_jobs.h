#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "api/error.h"
#include "server/mailbox.h"

namespace gossamer::server {

/// A response that is made in the background: what it is by now, and who follows it. Any thread.
class ResponseJob : public std::enable_shared_from_this<ResponseJob> {
 public:
  ResponseJob(std::string owner, boost::asio::any_io_executor strand)
      : owner_(std::move(owner)), strand_(std::move(strand)) {}

  const std::string& owner() const { return owner_; }

  /// The response object as it is now.
  api::Json object() const;
  void set_object(api::Json object);

  /// An event as it goes over the wire, in order; the empty string ends the stream.
  void publish(const std::string& event);

  /// All events so far, and then those that come. `strand` is the follower's.
  std::unique_ptr<Mailbox<std::string>> follow(const boost::asio::any_io_executor& strand);

  /// Ends the coroutine that makes the response.
  void cancel();
  boost::asio::cancellation_slot slot() { return signal_.slot(); }

 private:
  const std::string owner_;
  const boost::asio::any_io_executor strand_;
  mutable std::mutex mutex_;
  api::Json object_;  // guarded by mutex_, as those below
  std::vector<std::string> events_;
  std::vector<std::weak_ptr<MailSlot<std::string>>> followers_;
  boost::asio::cancellation_signal signal_;  // on the strand
};

/// The background responses under way, by id. Any thread.
class ResponseJobs {
 public:
  void add(const std::string& id, std::shared_ptr<ResponseJob> job);
  void remove(const std::string& id);

  /// Null when there is none of that owner.
  std::shared_ptr<ResponseJob> find(const std::string& id, const std::string& owner) const;

  void cancel_all();

 private:
  mutable std::mutex mutex_;
  std::map<std::string, std::shared_ptr<ResponseJob>> jobs_;  // guarded by mutex_
};

}  // namespace gossamer::server
