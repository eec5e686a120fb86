// SPDX-License-Identifier: Apache-2.0
#include "core/memory/dirty_writer.h"

#include <pthread.h>

#include <algorithm>
#include <utility>

namespace godwit {
namespace {

using std::chrono::nanoseconds;

/// Pages are written in batches: a thread that sleeps for less would be busy with waking up.
constexpr nanoseconds kShortestSleep = std::chrono::milliseconds(1);
/// What the thread is behind beyond that is forgiven: held up for long, it does not storm through what it missed.
constexpr nanoseconds kMostBehind = std::chrono::milliseconds(20);

constexpr std::uint64_t kWordsPerPage = kPageSize / sizeof(std::uint64_t);
constexpr int kWordsWritten = 8;
/// One write in so many clears its page: a page that becomes zero again travels as another kind of record.
constexpr std::uint64_t kZeroOneIn = 8;

/// Stores as a vCPU makes them: seen at some time by whoever reads the page meanwhile, in whole words. A migration reads
/// pages while they are written; that is its nature and no race to report.
__attribute__((no_sanitize("thread"))) void guest_store(std::uint64_t* word, std::uint64_t value) {
  __atomic_store_n(word, value, __ATOMIC_RELAXED);
}

nanoseconds interval_of(const DirtyLoad& load) {
  return nanoseconds(std::chrono::seconds(1)) / load.pages_per_second;
}

}  // namespace

DirtyWriter::DirtyWriter(std::shared_ptr<GuestMemory> memory)
    : memory_(std::move(memory)), thread_([this] { run(); }) {}

Status DirtyWriter::start(const DirtyLoad& load) {
  if (load.pages_per_second == 0 || load.pages_per_second > kMaxPagesPerSecond) {
    return Failure::invalid("pages are written at a rate of 1 to " + std::to_string(kMaxPagesPerSecond) + " a second");
  }
  if (load.working_set == 0 || load.working_set > memory_->size() || load.working_set % kPageSize != 0) {
    return Failure::invalid("a working set of " + std::to_string(load.working_set) +
                            " bytes is not a multiple of 4096 within the " + std::to_string(memory_->size()) +
                            " bytes of memory");
  }
  {
    std::lock_guard lock(mutex_);
    load_ = load;
    fresh_load_ = true;
    writing_.store(true, std::memory_order_relaxed);
  }
  wake_.notify_one();
  return success();
}

void DirtyWriter::stop(std::function<void()> done) {
  {
    std::lock_guard lock(mutex_);
    writing_.store(false, std::memory_order_relaxed);
    if (!closing_) {
      stops_.push_back(std::move(done));
      done = nullptr;
    }
  }
  wake_.notify_one();
  if (done) done();  // closed: nothing has been written for long
}

void DirtyWriter::close() {
  {
    std::lock_guard lock(mutex_);
    closing_ = true;
    writing_.store(false, std::memory_order_relaxed);
  }
  wake_.notify_one();
  std::lock_guard joining(join_mutex_);
  if (thread_.joinable()) thread_.join();
}

void DirtyWriter::run() {
  ::pthread_setname_np(::pthread_self(), "dirty-writer");
  std::unique_lock lock(mutex_);
  while (!closing_) {
    answer_stops(lock);
    if (!writing_.load(std::memory_order_relaxed)) {
      wake_.wait(lock, [this] { return closing_ || writing_.load(std::memory_order_relaxed) || !stops_.empty(); });
      continue;
    }
    const DirtyLoad load = load_;
    if (std::exchange(fresh_load_, false)) {
      random_state_ = load.seed;
      next_due_ = Clock::now();
    }
    lock.unlock();
    const Clock::time_point wake_at = write_due_pages(load);
    lock.lock();
    wake_.wait_until(lock, wake_at, [this] {
      return closing_ || fresh_load_ || !stops_.empty() || !writing_.load(std::memory_order_relaxed);
    });
  }
  answer_stops(lock);
}

/// Between two batches: nothing is half written or unmarked.
void DirtyWriter::answer_stops(std::unique_lock<std::mutex>& lock) {
  while (!stops_.empty()) {
    const std::vector<std::function<void()>> stops = std::exchange(stops_, {});
    lock.unlock();
    for (const std::function<void()>& done : stops) done();
    lock.lock();
  }
}

/// Writes what is due now, or less when it is stopped; answers when to come back.
DirtyWriter::Clock::time_point DirtyWriter::write_due_pages(const DirtyLoad& load) {
  const Clock::time_point now = Clock::now();
  const nanoseconds interval = interval_of(load);
  next_due_ = std::max(next_due_, now - std::max(kMostBehind, interval));
  for (; next_due_ <= now && writing_.load(std::memory_order_relaxed); next_due_ += interval) write_page(load);
  return std::max<Clock::time_point>(next_due_, now + kShortestSleep);
}

void DirtyWriter::write_page(const DirtyLoad& load) {
  const std::uint64_t page = random() % (load.working_set / kPageSize);
  auto* const words = reinterpret_cast<std::uint64_t*>(memory_->data() + page * kPageSize);
  if (random() % kZeroOneIn == 0) {
    for (std::uint64_t word = 0; word < kWordsPerPage; ++word) guest_store(words + word, 0);
  } else {
    for (int n = 0; n < kWordsWritten; ++n) guest_store(words + random() % kWordsPerPage, random());
  }
  memory_->mark_dirty(page * kPageSize, kPageSize);  // after the write: see the head of dirty_writer.h
  pages_written_.fetch_add(1, std::memory_order_relaxed);
}

/// splitmix64.
std::uint64_t DirtyWriter::random() {
  std::uint64_t z = random_state_ += 0x9e3779b97f4a7c15;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
  z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
  return z ^ (z >> 31);
}

}  // namespace godwit
