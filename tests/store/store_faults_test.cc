#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <fstream>
#include <functional>
#include <iterator>
#include <random>
#include <string>

#include "store/response_store.h"
#include "tests/checkpoint/scratch_directory.h"
#include "tests/store/sample.h"

namespace gossamer::store {
namespace {

namespace fs = std::filesystem;
using checkpoint::ScratchDirectory;

constexpr std::size_t kPageBytes = 4096;

std::string read_file(const fs::path& file) {
  std::ifstream stream(file, std::ios::binary);
  return {std::istreambuf_iterator<char>(stream), {}};
}

void write_file(const fs::path& file, const std::string& bytes) {
  std::ofstream(file, std::ios::binary) << bytes;
}

// Runs `work` in a process of its own; its exit status, or minus the signal that ended it.
int status_of_child(const std::function<int()>& work) {
  const pid_t child = ::fork();
  if (child == 0) ::_exit(work());
  int status = 0;
  EXPECT_EQ(::waitpid(child, &status, 0), child);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

// A closed store of some responses of 20 kB, and nothing in its log.
fs::path full_file(const ScratchDirectory& scratch, int num_responses = 20) {
  auto file = scratch.path() / "responses.db";
  const auto store = open_store(file);
  for (int i = 0; i < num_responses; ++i) {
    EXPECT_TRUE(store->put(sample("resp_" + std::to_string(i), "", 20'000)).ok());
  }
  return file;
}

void expect_usable(ResponseStore& store) {
  EXPECT_TRUE(store.put(sample("resp_after")).ok());
  const auto found = store.get("resp_after", "");
  ASSERT_TRUE(found.ok());
  EXPECT_TRUE(found.value().has_value());
}

// Opens what `bytes` are, and expects them set aside as they were.
void expect_set_aside(const ScratchDirectory& scratch, const std::string& bytes) {
  const auto file = scratch.path() / "responses.db";
  write_file(file, bytes);
  const auto store = open_store(file);
  ASSERT_EQ(store->warnings().size(), 1u);
  EXPECT_NE(store->warnings()[0].find("responses.db.corrupt-1"), std::string::npos);
  EXPECT_TRUE(read_file(file.string() + ".corrupt-1") == bytes);
  expect_usable(*store);
}

TEST(StoreFaults, ATextFileIsSetAside) {
  ScratchDirectory scratch;
  expect_set_aside(scratch, std::string(10'000, 'x'));
}

TEST(StoreFaults, ATruncatedFileIsSetAside) {
  ScratchDirectory scratch;
  const auto bytes = read_file(full_file(scratch));
  expect_set_aside(scratch, bytes.substr(0, bytes.size() / 2));
}

TEST(StoreFaults, AFileCutWithinItsHeaderIsSetAside) {
  ScratchDirectory scratch;
  const auto bytes = read_file(full_file(scratch));
  expect_set_aside(scratch, bytes.substr(0, 50));
}

TEST(StoreFaults, ADamagedPageIsFoundAndTheFileSetAside) {
  ScratchDirectory scratch;
  auto bytes = read_file(full_file(scratch));
  std::mt19937 random(1);
  // The pages of the tables' roots, which every store has.
  for (std::size_t i = 3 * kPageBytes; i < 5 * kPageBytes; ++i)
    bytes[i] = static_cast<char>(random());
  expect_set_aside(scratch, bytes);
}

TEST(StoreFaults, AnotherProgramsDatabaseIsSetAside) {
  ScratchDirectory scratch;
  auto bytes = read_file(full_file(scratch));
  bytes.replace(68, 4, "ABCD");  // its application id
  expect_set_aside(scratch, bytes);
}

TEST(StoreFaults, AStoreOfALaterVersionIsSetAside) {
  ScratchDirectory scratch;
  auto bytes = read_file(full_file(scratch));
  bytes[63] = 2;  // its user_version
  expect_set_aside(scratch, bytes);
}

TEST(StoreFaults, TheSecondDamagedFileGetsItsOwnName) {
  ScratchDirectory scratch;
  const auto file = scratch.path() / "responses.db";
  for (const char* aside : {".corrupt-1", ".corrupt-2"}) {
    write_file(file, std::string(5000, *aside));
    open_store(file);
    EXPECT_TRUE(fs::exists(file.string() + aside));
  }
}

TEST(StoreFaults, TheLogGoesAsideWithItsDatabase) {
  ScratchDirectory scratch;
  const auto file = scratch.path() / "responses.db";
  write_file(file, std::string(5000, 'x'));
  write_file(file.string() + "-wal", "the log");
  open_store(file);
  EXPECT_EQ(read_file(file.string() + ".corrupt-1-wal"), "the log");
}

TEST(StoreFaults, DamagedTextIsAnErrorOfThatResponseOnly) {
  ScratchDirectory scratch;
  const auto file = full_file(scratch);
  auto bytes = read_file(file);
  const auto place = bytes.find("[\"resp_7\"][\"resp_7\"]", bytes.size() / 4);
  ASSERT_NE(place, std::string::npos);
  bytes[place + 2] = 'X';
  write_file(file, bytes);
  const auto store = open_store(file);
  EXPECT_TRUE(store->warnings().empty());
  const auto damaged = store->get("resp_7", "");
  ASSERT_FALSE(damaged.ok());
  EXPECT_EQ(damaged.error().code, ErrorCode::kCorruptData);
  EXPECT_TRUE(store->get("resp_8", "").value().has_value());
  EXPECT_FALSE(fs::exists(file.string() + ".corrupt-1"));
}

TEST(StoreFaults, DamageWhileItIsOpenSetsTheFileAside) {
  ScratchDirectory scratch;
  const auto file = full_file(scratch, 300);  // more than SQLite keeps in memory
  const auto store = open_store(file);
  {
    std::fstream stream(file, std::ios::in | std::ios::out | std::ios::binary);
    stream.seekp(static_cast<std::streamoff>(2 * kPageBytes));
    stream << std::string(fs::file_size(file) - 2 * kPageBytes, '\xff');
  }
  std::string message;
  for (int i = 0; i < 300 && message.empty(); ++i) {
    const auto found = store->get("resp_" + std::to_string(i), "");
    if (!found.ok()) message = found.error().message;
  }
  EXPECT_NE(message.find("set aside as"), std::string::npos) << message;
  EXPECT_TRUE(fs::exists(file.string() + ".corrupt-1"));
  expect_usable(*store);
}

TEST(StoreFaults, AFolderInThePlaceOfTheFileIsAnError) {
  ScratchDirectory scratch;
  const auto store = ResponseStore::open({.file = scratch.path()});
  ASSERT_FALSE(store.ok());
  EXPECT_EQ(store.error().code, ErrorCode::kIo);
  EXPECT_NE(store.error().message.find(scratch.path().string()), std::string::npos);
}

TEST(StoreFaults, AFolderBelowAFileIsAnError) {
  ScratchDirectory scratch;
  write_file(scratch.path() / "file", "");
  const auto store = ResponseStore::open({.file = scratch.path() / "file" / "responses.db"});
  ASSERT_FALSE(store.ok());
  EXPECT_EQ(store.error().code, ErrorCode::kIo);
}

TEST(StoreFaults, WithoutPermissionNothingIsSetAside) {
  ScratchDirectory scratch;
  const auto file = full_file(scratch);
  fs::permissions(file, fs::perms::none);
  const auto before = fs::file_size(file);
  const int status = status_of_child([&file] {
    if (::geteuid() == 0 && ::seteuid(65534) != 0) return 2;  // nothing is forbidden to root
    const auto store = ResponseStore::open({.file = file});
    return !store.ok() && store.error().code == ErrorCode::kIo ? 0 : 1;
  });
  EXPECT_EQ(status, 0);
  EXPECT_EQ(fs::file_size(file), before);
  EXPECT_FALSE(fs::exists(file.string() + ".corrupt-1"));
}

// Puts responses for ever, and says on the pipe which are done.
[[noreturn]] void put_until_killed(const fs::path& file, int pipe) {
  auto store = ResponseStore::open({.file = file, .max_bytes = 8 << 20});
  for (int i = 0; store.ok(); ++i) {
    if (!(*store)->put(sample("resp_" + std::to_string(i), "", 30'000 + 1000 * (i % 7))).ok())
      break;
    if (::write(pipe, &i, sizeof i) != sizeof i) break;
  }
  ::_exit(1);
}

TEST(StoreFaults, EveryPutThatReturnedSurvivesKillNine) {
  for (int round = 0; round < 10; ++round) {
    ScratchDirectory scratch;
    const auto file = scratch.path() / "responses.db";
    int pipe[2];
    ASSERT_EQ(::pipe(pipe), 0);
    const pid_t child = ::fork();
    if (child == 0) put_until_killed(file, pipe[1]);
    ::close(pipe[1]);
    int last = -1;
    int number = 0;
    while (last < 5 + 7 * round && ::read(pipe[0], &number, sizeof number) == sizeof number) {
      last = number;
    }
    ::kill(child, SIGKILL);
    int status = 0;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    ASSERT_TRUE(WIFSIGNALED(status));
    while (::read(pipe[0], &number, sizeof number) == sizeof number) last = number;
    ::close(pipe[0]);
    const auto store = open_store(file);
    EXPECT_TRUE(store->warnings().empty());
    for (int i = 0; i <= last + 1; ++i) {
      const std::string id = "resp_" + std::to_string(i);
      const auto found = store->get(id, "");
      ASSERT_TRUE(found.ok()) << found.error().message;
      ASSERT_TRUE(found.value().has_value() || i == last + 1) << id << " of " << last;
      if (!found.value().has_value()) continue;
      EXPECT_EQ(found.value()->input, sample(id, "", 30'000 + 1000 * (i % 7)).input);
    }
    expect_usable(*store);
  }
}

// In a process whose files may not grow past 1 MB, as on a full disk. The number of the check that
// failed, or 0.
int fill_the_disk(const fs::path& file) {
  std::signal(SIGXFSZ, SIG_IGN);
  auto opened = ResponseStore::open({.file = file});
  if (!opened.ok()) return 1;
  ResponseStore& store = **opened;
  if (!store.put(sample("resp_before")).ok()) return 2;
  const rlimit limit{1 << 20, RLIM_INFINITY};
  if (::setrlimit(RLIMIT_FSIZE, &limit) != 0) return 3;
  int num_put = 0;
  while (store.put(sample("resp_" + std::to_string(num_put), "", 100'000)).ok()) ++num_put;
  if (num_put < 2 || num_put > 20) return 4;
  const auto status = store.put(sample("resp_too_much", "", 2'000'000));
  if (status.ok() || status.error().code != ErrorCode::kIo) return 5;
  for (int i = 0; i < num_put; ++i) {
    if (!store.get("resp_" + std::to_string(i), "").value().has_value()) return 6;
  }
  if (store.get("resp_too_much", "").value().has_value()) return 7;
  const rlimit none{RLIM_INFINITY, RLIM_INFINITY};
  if (::setrlimit(RLIMIT_FSIZE, &none) != 0) return 8;
  if (!store.put(sample("resp_after", "", 2'000'000)).ok()) return 9;
  return store.get("resp_before", "").value().has_value() ? 0 : 10;
}

TEST(StoreFaults, AFullDiskIsAnErrorAndHarmsNothing) {
  ScratchDirectory scratch;
  const auto file = scratch.path() / "responses.db";
  EXPECT_EQ(status_of_child([&file] { return fill_the_disk(file); }), 0);
  const auto store = open_store(file);
  EXPECT_TRUE(store->warnings().empty());
  EXPECT_TRUE(store->get("resp_after", "").value().has_value());
}

}  // namespace
}  // namespace gossamer::store
