// SPDX-License-Identifier: Apache-2.0
#include "core/channels/output.h"

#include <pthread.h>
#include <unistd.h>

#include <utility>

namespace godwit {
namespace {

/// Small buffers that follow each other share one allocation and one iovec up to this size.
constexpr std::size_t kCoalesceBytes = 64 << 10;
/// One round of the writer stops gathering here, so that room is given back in steps.
constexpr std::size_t kGatherBytes = 1 << 20;

/// Drops the first `bytes` bytes of `parts`.
std::span<iovec> advance(std::span<iovec> parts, std::size_t bytes) {
  while (bytes > 0) {
    iovec& first = parts.front();
    if (bytes < first.iov_len) {
      first.iov_base = static_cast<char*>(first.iov_base) + bytes;
      first.iov_len -= bytes;
      return parts;
    }
    bytes -= first.iov_len;
    parts = parts.subspan(1);
  }
  return parts;
}

}  // namespace

Output::Output(Layer& layer, const Interrupt& stop) : layer_(layer), stop_(stop), writer_([this] { run(); }) {}

void Output::append(std::span<const std::uint8_t> bytes) {
  if (bytes.empty()) return;
  {
    std::lock_guard lock(mutex_);
    if (broken_ || joining_) return;
    queued_.fetch_add(bytes.size(), std::memory_order_relaxed);
    if (!items_.empty() && !items_.back().small.empty() &&
        items_.back().small.size() + bytes.size() <= kCoalesceBytes) {
      items_.back().small.insert(items_.back().small.end(), bytes.begin(), bytes.end());
    } else {
      items_.push_back(Item{{bytes.begin(), bytes.end()}, {}, {}});
    }
  }
  not_empty_.notify_one();
}

bool Output::append(OutputBatch batch) {
  {
    std::lock_guard lock(mutex_);
    if (broken_ || joining_) return false;
    queued_.fetch_add(batch.bytes, std::memory_order_relaxed);
    batch_bytes_in_flight_ += batch.bytes;
    items_.push_back(Item{{}, std::move(batch), {}});
  }
  not_empty_.notify_one();
  return true;
}

Output::Room Output::wait_for_room(Clock::time_point deadline, const std::function<bool()>& give_up) {
  std::unique_lock lock(mutex_);
  for (;;) {
    if (broken_ || joining_ || stop_.raised()) return Room::kBroken;
    if (give_up()) return Room::kGivenUp;
    if (batch_bytes_in_flight_ < kMaxBatchBytesInFlight) return Room::kReady;
    if (deadline == Clock::time_point::max()) {
      room_.wait(lock);  // wait_until() with the end of time overflows
    } else if (room_.wait_until(lock, deadline) == std::cv_status::timeout) {
      return batch_bytes_in_flight_ < kMaxBatchBytesInFlight ? Room::kReady : Room::kTimedOut;
    }
  }
}

Failure Output::failure() {
  std::lock_guard lock(mutex_);
  return broken_ ? *broken_ : stopped();
}

void Output::flush(Completion<> done) {
  {
    std::lock_guard lock(mutex_);
    if (!joining_) {
      items_.push_back(Item{{}, {}, std::move(done)});
      done = nullptr;
    }
  }
  if (done) {
    done(stopped());
  } else {
    not_empty_.notify_one();
  }
}

void Output::wake() {
  // Taking the lock orders this call after a waiter's check and before its sleep ends.
  { std::lock_guard lock(mutex_); }
  not_empty_.notify_all();
  room_.notify_all();
}

void Output::join() {
  {
    std::lock_guard lock(mutex_);
    joining_ = true;
  }
  not_empty_.notify_all();
  room_.notify_all();
  if (writer_.joinable()) writer_.join();
}

void Output::run() {
  ::pthread_setname_np(::pthread_self(), "channel-out");
  thread_id_.store(::gettid(), std::memory_order_relaxed);
  gathered_.reserve(Layer::kMaxParts);
  for (;;) {
    std::vector<Item> items;
    Status outcome = success();
    {
      std::unique_lock lock(mutex_);
      not_empty_.wait(lock, [this] { return joining_ || !items_.empty(); });
      if (items_.empty()) return;
      if (stop_.raised() && !broken_) broken_ = stopped();
      if (broken_) outcome = *broken_;
      items = take();
    }
    std::size_t batch_bytes = 0;
    std::uint64_t unsent = 0;
    for (const Item& item : items) {
      batch_bytes += item.batch.bytes;
      unsent += item.bytes();
    }
    if (outcome.ok()) {
      const std::uint64_t before = written();
      outcome = send(items);
      unsent -= written() - before;
    }
    {
      std::lock_guard lock(mutex_);
      if (!outcome.ok() && !broken_) broken_ = outcome.failure();
      batch_bytes_in_flight_ -= batch_bytes;
    }
    queued_.fetch_sub(unsent, std::memory_order_relaxed);
    if (batch_bytes > 0 || !outcome.ok()) room_.notify_all();
    for (Item& item : items) {
      if (item.flushed) item.flushed(outcome);
    }
  }
}

/// Takes a run of entries for one round of writing; the lock is held. A flush ends the run: it must complete before
/// anything behind it is written.
std::vector<Output::Item> Output::take() {
  std::vector<Item> taken;
  std::size_t bytes = 0;
  std::size_t parts = 0;
  while (!items_.empty() && bytes < kGatherBytes) {
    Item& next = items_.front();
    if (!taken.empty() && parts + next.part_count() > Layer::kMaxParts) break;
    if (!taken.empty() && taken.back().flushed && !next.flushed) break;
    bytes += next.bytes();
    parts += next.part_count();
    taken.push_back(std::move(next));
    items_.pop_front();
  }
  return taken;
}

Status Output::send(const std::vector<Item>& items) {
  gathered_.clear();
  for (const Item& item : items) {
    if (!item.small.empty()) {
      gathered_.push_back({const_cast<std::uint8_t*>(item.small.data()), item.small.size()});
    }
    gathered_.insert(gathered_.end(), item.batch.parts.begin(), item.batch.parts.end());
  }
  return send_parts(gathered_);
}

Status Output::send_parts(std::span<iovec> parts) {
  while (!parts.empty()) {
    if (stop_.raised()) return stopped();
    const IoOutcome outcome = layer_.write(parts);
    if (outcome.error == EAGAIN) {
      const Readiness seen = wait_ready(layer_.descriptor(), outcome.wait_for, {&stop_}, layer_.look_again());
      const int lost = seen == Readiness::kTimedOut ? layer_.lost() : 0;
      if (lost != 0) return Failure::from_code(lost, "", "The peer's host no longer answers");
      continue;
    }
    if (outcome.error != 0) {
      if (stop_.raised()) return stopped();
      return Failure::from_code(outcome.error, outcome.syscall, "Unable to write to the channel");
    }
    written_.fetch_add(outcome.bytes, std::memory_order_relaxed);
    queued_.fetch_sub(outcome.bytes, std::memory_order_relaxed);
    parts = advance(parts, outcome.bytes);
  }
  return success();
}

}  // namespace godwit
