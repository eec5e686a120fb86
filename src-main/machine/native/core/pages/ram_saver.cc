// SPDX-License-Identifier: Apache-2.0
#include "core/pages/ram_saver.h"

#include <set>
#include <utility>

#include "core/pages/zero_scan.h"

namespace godwit {

Result<std::shared_ptr<RamSaver>> RamSaver::create(std::vector<RamSaverBlock> sources) {
  constexpr std::size_t kMaxName = 255;  // its length is one byte in the stream
  std::set<std::string> names;
  std::vector<Block> blocks;
  for (RamSaverBlock& source : sources) {
    if (source.name.empty() || source.name.size() > kMaxName) {
      return Failure::invalid("A RAM block's name has 1 to 255 bytes");
    }
    if (!names.insert(source.name).second) return Failure::invalid("Two RAM blocks are named '" + source.name + "'");
    if (!source.memory) return Failure::invalid("RAM block '" + source.name + "' has no memory");
    const std::uint64_t pages = source.memory->pages();
    blocks.push_back({std::move(source), PageBitmap(pages)});
  }
  return std::shared_ptr<RamSaver>(new RamSaver(std::move(blocks)));
}

Status RamSaver::start() {
  for (std::size_t started = 0; started < blocks_->size(); ++started) {
    DirtyTracker* const tracker = (*blocks_)[started].source.tracker.get();
    if (tracker == nullptr) continue;
    Status outcome = tracker->start();
    if (outcome.ok()) continue;
    while (started-- > 0) {
      // The first failure is the one to tell.
      if (DirtyTracker* const earlier = (*blocks_)[started].source.tracker.get()) (void)earlier->stop();
    }
    return outcome;
  }
  // Only now: a page written between its mark and the start of tracking would be lost.
  for (Block& block : *blocks_) block.dirty.set_all();
  dirty_pages_.store(count_dirty(), std::memory_order_relaxed);
  cursor_ = {};
  last_channel_ = 0;
  return success();
}

Result<std::uint64_t> RamSaver::sync() {
  const std::uint64_t before = count_dirty();
  for (Block& block : *blocks_) {
    if (block.source.tracker) {
      if (Status collected = block.source.tracker->collect(block.dirty.words()); !collected.ok()) {
        return std::move(collected).failure();
      }
    }
    block.source.memory->take_user_dirty(block.dirty.words());
    block.dirty.trim();
  }
  cursor_ = {};
  const std::uint64_t after = count_dirty();
  dirty_pages_.store(after, std::memory_order_relaxed);
  return after - before;
}

Status RamSaver::stop() {
  Status outcome = success();
  for (Block& block : *blocks_) {
    if (!block.source.tracker) continue;
    Status stopped = block.source.tracker->stop();
    if (outcome.ok()) outcome = std::move(stopped);
  }
  return outcome;
}

Result<RamSendResult> RamSaver::send(Channel& channel, const RamSendBudget& budget, std::uint64_t epoch) {
  announce(&channel);
  Result<RamSendResult> sent = send_batches(channel, budget, epoch);
  announce(nullptr);
  return sent;
}

void RamSaver::cancel() {
  epoch_.fetch_add(1, std::memory_order_acq_rel);
  std::lock_guard lock(mutex_);
  if (sending_on_ != nullptr) sending_on_->output().wake();
}

/// Tells cancel() whom to wake.
void RamSaver::announce(Channel* channel) {
  std::lock_guard lock(mutex_);
  sending_on_ = channel;
}

Result<RamSendResult> RamSaver::send_batches(Channel& channel, const RamSendBudget& budget, std::uint64_t epoch) {
  RamSendResult total;
  std::size_t previous_block = channel.id() == last_channel_ ? last_block_ : kNoBlock;
  while (total.bytes < budget.bytes && find_dirty()) {
    if (cancelled(epoch) || std::chrono::steady_clock::now() >= budget.deadline) break;
    // Room first: then the pages of a batch are scanned, sent and perhaps still cached at nearly the same time.
    const Output::Room room = channel.output().wait_for_room(budget.deadline, [&] { return cancelled(epoch); });
    if (room == Output::Room::kBroken) return channel.output().failure();
    if (room != Output::Room::kReady) break;

    RamRecordBatch batch(blocks_);
    const RamSendResult filled = fill(batch, budget.bytes - total.bytes, previous_block);
    if (!channel.output().append(batch.finish())) {
      undo_fill();
      return channel.output().failure();
    }
    last_channel_ = channel.id();
    last_block_ = previous_block;
    dirty_pages_.fetch_sub(filled.normal_pages + filled.zero_pages, std::memory_order_relaxed);
    total.bytes += filled.bytes;
    total.normal_pages += filled.normal_pages;
    total.zero_pages += filled.zero_pages;
  }
  total.pass_done = !find_dirty();
  return total;
}

/// Fills the batch from the cursor, which is at a dirty page.
RamSendResult RamSaver::fill(RamRecordBatch& batch, std::uint64_t byte_limit, std::size_t& previous_block) {
  RamSendResult counts;
  taken_.clear();
  do {
    Block& block = (*blocks_)[cursor_.block];
    // The mark goes before the page is looked at: a write after this is found by the next sync.
    block.dirty.clear(cursor_.page);
    taken_.push_back(cursor_);
    const std::uint64_t offset = cursor_.page * kPageSize;
    std::uint8_t* const page = block.source.memory->data() + offset;
    const std::string* const name = cursor_.block == previous_block ? nullptr : &block.source.name;
    if (is_zero_page(page)) {
      counts.bytes += batch.add_zero(offset, name);
      ++counts.zero_pages;
    } else {
      counts.bytes += batch.add_page(offset, name, page);
      ++counts.normal_pages;
    }
    previous_block = cursor_.block;
    ++cursor_.page;
  } while (counts.bytes < byte_limit && !batch.full() && find_dirty());
  return counts;
}

void RamSaver::undo_fill() {
  for (const Position& position : taken_) (*blocks_)[position.block].dirty.set(position.page);
  cursor_ = taken_.front();
}

/// Moves the cursor to the next dirty page; false at the end of the last block.
bool RamSaver::find_dirty() {
  for (; cursor_.block < blocks_->size(); cursor_ = {cursor_.block + 1, 0}) {
    const PageBitmap& dirty = (*blocks_)[cursor_.block].dirty;
    cursor_.page = dirty.find_from(cursor_.page);
    if (cursor_.page < dirty.pages()) return true;
  }
  return false;
}

std::uint64_t RamSaver::count_dirty() const {
  std::uint64_t total = 0;
  for (const Block& block : *blocks_) total += block.dirty.count();
  return total;
}

}  // namespace godwit
