#include "http/deadline.h"

#include <gtest/gtest.h>

#include <boost/asio/io_context.hpp>
#include <chrono>
#include <memory>

namespace gossamer::http {
namespace {

namespace asio = boost::asio;
using std::chrono::milliseconds;
using std::chrono::minutes;

class DeadlineTest : public testing::Test {
 protected:
  /// As long as `time`, and no longer.
  void run_for(milliseconds time) {
    context_.restart();
    context_.run_for(time);
  }

  asio::io_context context_;
  int num_expired_ = 0;
  std::unique_ptr<Deadline> deadline_ =
      std::make_unique<Deadline>(context_.get_executor(), [this] { ++num_expired_; });
};

TEST_F(DeadlineTest, WhatTakesTooLongIsToldOnce) {
  deadline_->arm(milliseconds(5));
  run_for(milliseconds(100));
  EXPECT_EQ(num_expired_, 1);
}

TEST_F(DeadlineTest, WhatEndsInTimeIsNot) {
  deadline_->arm(milliseconds(5));
  deadline_->disarm();
  run_for(milliseconds(100));
  EXPECT_EQ(num_expired_, 0);
}

TEST_F(DeadlineTest, ALaterOneReplacesAnEarlierOne) {
  deadline_->arm(milliseconds(5));
  deadline_->arm(minutes(1));
  run_for(milliseconds(50));
  EXPECT_EQ(num_expired_, 0);
}

TEST_F(DeadlineTest, AnEarlierOneReplacesALaterOne) {
  deadline_->arm(minutes(1));
  deadline_->arm(milliseconds(5));
  run_for(milliseconds(100));
  EXPECT_EQ(num_expired_, 1);
}

TEST_F(DeadlineTest, CanBeArmedAgain) {
  for (int i = 1; i <= 3; ++i) {
    deadline_->arm(milliseconds(1));
    run_for(milliseconds(100));
    EXPECT_EQ(num_expired_, i);
  }
}

TEST_F(DeadlineTest, NothingIsCalledOnceItIsGone) {
  deadline_->arm(milliseconds(1));
  deadline_.reset();
  run_for(milliseconds(100));
  EXPECT_EQ(num_expired_, 0);
}

}  // namespace
}  // namespace gossamer::http
