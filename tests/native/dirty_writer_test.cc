// SPDX-License-Identifier: Apache-2.0
#include "core/memory/dirty_writer.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cstring>
#include <ctime>
#include <future>

namespace godwit {
namespace {

constexpr std::uint64_t kMiB = std::uint64_t{1} << 20;
using Clock = std::chrono::steady_clock;

std::shared_ptr<GuestMemory> make(std::uint64_t size) {
  auto memory = GuestMemory::create({.name = "test.ram", .size = size});
  REQUIRE(memory.ok());
  return *memory;
}

void stop(DirtyWriter& writer) {
  std::promise<void> stopped;
  writer.stop([&] { stopped.set_value(); });
  stopped.get_future().wait();
}

void wait_for_pages(const DirtyWriter& writer, std::uint64_t pages) {
  while (writer.pages_written() < pages) std::this_thread::sleep_for(std::chrono::milliseconds(1));
}

std::vector<std::uint64_t> take(GuestMemory& memory) {
  std::vector<std::uint64_t> bitmap((memory.pages() + 63) / 64);
  memory.take_user_dirty(bitmap);
  return bitmap;
}

double processor_seconds() {
  timespec now{};
  ::clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) / 1e9;
}

TEST_CASE("the dirty writer refuses rates and working sets that cannot be, with a sentence") {
  DirtyWriter writer(make(kMiB));
  const auto refusal = [&](const DirtyLoad& load) {
    const Status status = writer.start(load);
    return status.ok() ? std::string() : status.failure().message;
  };
  CHECK(refusal({.pages_per_second = 0, .working_set = kMiB}).find("1 to 1000000 a second") != std::string::npos);
  CHECK(refusal({.pages_per_second = 1'000'001, .working_set = kMiB}).find("1 to 1000000") != std::string::npos);
  CHECK(refusal({.pages_per_second = 1, .working_set = 0}).find("multiple of 4096") != std::string::npos);
  CHECK(refusal({.pages_per_second = 1, .working_set = 100}).find("multiple of 4096") != std::string::npos);
  CHECK(refusal({.pages_per_second = 1, .working_set = kMiB + 4096}).find("within the 1048576") != std::string::npos);
  CHECK(writer.pages_written() == 0);
}

TEST_CASE("the dirty writer marks what it writes, stays in its working set, and writes nothing once it is stopped") {
  auto memory = make(kMiB);
  DirtyWriter writer(memory);
  REQUIRE(writer.start({.pages_per_second = 100'000, .working_set = kMiB / 2, .seed = 7}).ok());
  wait_for_pages(writer, 2'000);
  stop(writer);
  const std::uint64_t written = writer.pages_written();
  const std::vector<std::uint8_t> then(memory->data(), memory->data() + memory->size());
  const std::vector<std::uint64_t> marks = take(*memory);
  CHECK(marks[0] == ~std::uint64_t{0});  // 2000 writes to 128 pages: none is left out
  CHECK(marks[1] == ~std::uint64_t{0});
  CHECK(marks[2] == 0);
  CHECK(marks[3] == 0);
  CHECK(std::all_of(then.begin() + kMiB / 2, then.end(), [](std::uint8_t byte) { return byte == 0; }));
  CHECK(std::any_of(then.begin(), then.begin() + kMiB / 2, [](std::uint8_t byte) { return byte != 0; }));

  std::this_thread::sleep_for(std::chrono::milliseconds(20));
  CHECK(writer.pages_written() == written);
  CHECK(std::memcmp(then.data(), memory->data(), then.size()) == 0);
  CHECK(take(*memory) == std::vector<std::uint64_t>(4));

  REQUIRE(writer.start({.pages_per_second = 100'000, .working_set = 4096, .seed = 7}).ok());
  wait_for_pages(writer, written + 10);
  stop(writer);
  CHECK(take(*memory)[0] == 1);
}

/// What a migration does with marked pages. Answers how many were copied.
__attribute__((no_sanitize("thread"))) std::uint64_t copy_marked(GuestMemory& memory, std::vector<std::uint8_t>& copy) {
  const std::vector<std::uint64_t> marks = take(memory);
  std::uint64_t copied = 0;
  for (std::uint64_t page = 0; page < memory.pages(); ++page) {
    if ((marks[page / 64] >> page % 64 & 1) == 0) continue;
    const auto* from = reinterpret_cast<const std::uint64_t*>(memory.data() + page * kPageSize);
    auto* to = reinterpret_cast<std::uint64_t*>(copy.data() + page * kPageSize);
    for (std::uint64_t word = 0; word < kPageSize / 8; ++word) to[word] = __atomic_load_n(from + word, __ATOMIC_RELAXED);
    ++copied;
  }
  return copied;
}

TEST_CASE("a copy made while the dirty writer writes is exact once the marks after its stop are copied too") {
  auto memory = make(4 * kMiB);
  DirtyWriter writer(memory);
  std::vector<std::uint8_t> copy(memory->size());
  for (std::uint64_t seed = 1; seed <= 5; ++seed) {
    REQUIRE(writer.start({.pages_per_second = 1'000'000, .working_set = memory->size(), .seed = seed}).ok());
    for (const std::uint64_t goal = writer.pages_written() + 10'000; writer.pages_written() < goal;) {
      copy_marked(*memory, copy);
    }
    stop(writer);
    copy_marked(*memory, copy);
    CHECK(std::memcmp(copy.data(), memory->data(), copy.size()) == 0);
    CHECK(copy_marked(*memory, copy) == 0);
  }
}

// A page that is written once in a round and copied the moment its mark shows: were the mark made before the write, the
// write would be missing in some rounds.
TEST_CASE("no write of the dirty writer is missing in a copy that is made as soon as its mark shows") {
  auto memory = make(kPageSize);
  DirtyWriter writer(memory);
  std::vector<std::uint8_t> copy(memory->size());
  int missing = 0;
  for (std::uint64_t round = 1; round <= 1'000; ++round) {
    const std::uint64_t before = writer.pages_written();
    REQUIRE(writer.start({.pages_per_second = 10, .working_set = kPageSize, .seed = round}).ok());
    while (writer.pages_written() == before) copy_marked(*memory, copy);
    stop(writer);
    copy_marked(*memory, copy);
    if (std::memcmp(copy.data(), memory->data(), copy.size()) != 0) ++missing;
    std::memcpy(copy.data(), memory->data(), copy.size());
  }
  CHECK(missing == 0);
}

TEST_CASE("the dirty writer keeps its rate and sleeps between batches") {
  auto memory = make(kMiB);
  DirtyWriter writer(memory);
  const double busy_before = processor_seconds();
  const Clock::time_point begin = Clock::now();
  REQUIRE(writer.start({.pages_per_second = 2'000, .working_set = kMiB, .seed = 1}).ok());
  wait_for_pages(writer, 1'000);
  const double seconds = std::chrono::duration<double>(Clock::now() - begin).count();
  stop(writer);
  CHECK(seconds >= 0.45);  // never faster than asked for; a busy computer may make it slower
  CHECK(processor_seconds() - busy_before < 0.5 * seconds);
}

TEST_CASE("the dirty writer can be stopped when it does nothing, started again at once, and closed at any time") {
  auto memory = make(kMiB);
  {
    DirtyWriter writer(memory);
    stop(writer);
    for (int round = 0; round < 50; ++round) {
      REQUIRE(writer.start({.pages_per_second = 500'000, .working_set = kMiB, .seed = 1}).ok());
      std::atomic<bool> stopped = false;
      writer.stop([&] { stopped = true; });
      REQUIRE(writer.start({.pages_per_second = 1, .working_set = 4096, .seed = 1}).ok());
      stop(writer);
      CHECK(stopped);  // stops are answered in order, also one that a start overtook
    }
    REQUIRE(writer.start({.pages_per_second = 500'000, .working_set = kMiB, .seed = 1}).ok());
    writer.close();
    bool answered = false;
    writer.stop([&] { answered = true; });
    CHECK(answered);
  }
  take(*memory);
}

}  // namespace
}  // namespace godwit
