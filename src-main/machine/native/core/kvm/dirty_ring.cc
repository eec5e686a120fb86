// SPDX-License-Identifier: Apache-2.0
#include "core/kvm/dirty_ring.h"

#include <pthread.h>
#include <signal.h>

#include <algorithm>
#include <chrono>
#include <string>

namespace godwit {
namespace {

// KVM stops a vCPU when only its reserve is left in the ring: 64 entries, and as many as the processor buffers by
// itself, which is 512 with page modification logging and 0 without.
constexpr std::uint32_t kMostReserved = 64 + 512;
constexpr std::chrono::milliseconds kReapEvery{100};
constexpr std::uint64_t kNoPage = UINT64_MAX;

/// Half of what a ring surely has room for: a ring that gets there between two looks of the reaper is emptied before
/// it is full. Emptying it earlier would only make the guest fault again on pages that are known already.
std::uint32_t filled_mark(std::uint32_t entries) {
  return std::max(entries / 4, (entries - std::min(entries, kMostReserved)) / 2);
}

/// No signal reaches the calling thread while this exists, those that stop a process excepted.
class SignalsBlocked {
 public:
  SignalsBlocked() {
    sigset_t all;
    ::sigfillset(&all);
    ::pthread_sigmask(SIG_SETMASK, &all, &before_);
  }
  SignalsBlocked(const SignalsBlocked&) = delete;
  SignalsBlocked& operator=(const SignalsBlocked&) = delete;
  ~SignalsBlocked() { ::pthread_sigmask(SIG_SETMASK, &before_, nullptr); }

 private:
  sigset_t before_;
};

void set(std::vector<std::uint64_t>& bitmap, std::uint64_t page) { bitmap[page / 64] |= std::uint64_t{1} << page % 64; }

Status enable(const VmHandle& vm, std::uint32_t entries) {
  const std::string size = std::to_string(entries);
  if ((entries & (entries - 1)) != 0) {
    return Failure::invalid("the dirty ring size must be a power of two, such as 4096: got " + size);
  }
  const int capability = vm.capability(KVM_CAP_DIRTY_LOG_RING_ACQ_REL) != 0 ? KVM_CAP_DIRTY_LOG_RING_ACQ_REL
                                                                            : KVM_CAP_DIRTY_LOG_RING;
  const std::uint32_t limit = static_cast<std::uint32_t>(vm.capability(capability)) / sizeof(kvm_dirty_gfn);
  if (limit == 0) {
    return Failure{ENOTSUP, {}, "this kernel's KVM has no dirty ring: use Linux 5.11 or leave out the dirty ring size"};
  }
  if (entries > limit) {
    return Failure::invalid("the dirty ring size is at most " + std::to_string(limit) + " with this KVM: got " + size);
  }
  kvm_enable_cap request{};
  request.cap = static_cast<std::uint32_t>(capability);
  request.args[0] = std::uint64_t{entries} * sizeof(kvm_dirty_gfn);
  if (kvm_ioctl(vm.fd(), KVM_ENABLE_CAP, &request) == 0) return success();
  if (errno == EINVAL) {
    return Failure::invalid("the dirty ring size " + size + " is too small: this KVM keeps some entries for itself");
  }
  return Failure::from_errno("KVM_ENABLE_CAP", "KVM cannot track dirty pages in rings of " + size + " entries");
}

}  // namespace

/// One thread at a time harvests and re-arms, for three reasons. Rings are read in order. KVM flushes the vCPUs' TLBs
/// at the end of a reset, when it lets the next one in already: that one's caller must not believe yet that pages are
/// watched. And the number of entries that KVM has reset can only be checked when nobody adds to them. The mutex is
/// not held meanwhile.
class DirtyRing::Turn {
 public:
  explicit Turn(DirtyRing& ring) : ring_(ring) {
    std::unique_lock lock(ring_.mutex_);
    ring_.turn_over_.wait(lock, [this] { return !ring_.turn_taken_; });
    ring_.turn_taken_ = true;
  }
  Turn(const Turn&) = delete;
  Turn& operator=(const Turn&) = delete;
  ~Turn() {
    std::lock_guard lock(ring_.mutex_);
    ring_.turn_taken_ = false;
    ring_.turn_over_.notify_one();
  }

 private:
  DirtyRing& ring_;
};

Result<std::shared_ptr<DirtyRing>> DirtyRing::create(std::shared_ptr<VmHandle> vm, std::uint32_t entries) {
  if (Status status = enable(*vm, entries); !status) return status.failure();
  return std::shared_ptr<DirtyRing>(new DirtyRing(std::move(vm), entries));
}

DirtyRing::DirtyRing(std::shared_ptr<VmHandle> vm, std::uint32_t entries)
    : vm_(std::move(vm)),
      entries_(entries),
      filled_(filled_mark(entries)),
      pending_((vm_->memory_pages() + 63) / 64),
      unwatched_(pending_.size()),
      reaper_([this] { reap_until_closed(); }) {}

DirtyRing::~DirtyRing() {
  {
    std::lock_guard lock(mutex_);
    closing_ = true;
    wake_reaper_.notify_one();
  }
  reaper_.join();
}

Status DirtyRing::add_vcpu(int vcpu_fd) {
  Result<std::unique_ptr<VcpuRing>> ring = VcpuRing::map(vcpu_fd, entries_);
  if (!ring) return std::move(ring).failure();
  const Turn turn(*this);
  rings_.push_back(*std::move(ring));
  return success();
}

std::vector<RingCounts> DirtyRing::counts() const {
  std::vector<RingCounts> answer;
  for (const auto& ring : rings_) answer.push_back(ring->counts());
  return answer;
}

// ---- the tracker ----

Status DirtyRing::start() {
  const Turn turn(*this);
  if (tracking_.load()) return success();
  if (Status status = vm_->set_dirty_log(true); !status) {
    (void)vm_->set_dirty_log(false);  // the first failure is the one to tell
    return status;
  }
  reaper_failure_.reset();
  std::lock_guard lock(mutex_);
  tracking_.store(true);
  wake_reaper_.notify_one();
  return success();
}

Status DirtyRing::stop() {
  const Turn turn(*this);
  if (!tracking_.exchange(false)) return success();
  Status off = vm_->set_dirty_log(false);
  // Nothing is added any more: the next start() finds the rings empty.
  harvest_all();
  Status emptied = rearm();
  std::fill(pending_.begin(), pending_.end(), 0);
  std::fill(unwatched_.begin(), unwatched_.end(), 0);
  return off ? emptied : off;
}

/// A processor may buffer the pages that were written and hand them to KVM only when it leaves the guest (page
/// modification logging), and KVM may let a page be written a moment before it has put it into a ring. Once the vCPUs
/// have left the guest, every page that was written before is in a ring.
Status DirtyRing::collect(std::span<std::uint64_t> bitmap) {
  if (!tracking_.load()) return Failure::invalid("dirty pages cannot be collected: their tracking is not started");
  if (bitmap.size() < pending_.size()) return Failure::invalid("the dirty bitmap is shorter than the memory block");
  leave_guest_();
  const Turn turn(*this);
  if (reaper_failure_) return *reaper_failure_;
  harvest_all();
  if (Status status = rearm(); !status) return status;
  for (std::size_t word = 0; word < pending_.size(); ++word) {
    bitmap[word] |= pending_[word] | unwatched_[word];
    pending_[word] = 0;
  }
  return success();
}

Status DirtyRing::make_room(unsigned vcpu) {
  const Turn turn(*this);
  rings_[vcpu]->count_full_exit();
  // Its own in any case. Nothing is left to do when somebody has emptied it while this thread waited for its turn.
  for (const auto& ring : rings_) {
    if (ring == rings_[vcpu] || ring->holds(filled_)) harvest(*ring);
  }
  return rearm();
}

void DirtyRing::reap_until_closed() {
  ::pthread_setname_np(::pthread_self(), "dirty-ring");
  std::unique_lock lock(mutex_);
  while (!closing_) {
    if (!tracking_.load()) {
      wake_reaper_.wait(lock);
      continue;
    }
    if (wake_reaper_.wait_for(lock, kReapEvery, [this] { return closing_; })) return;
    lock.unlock();
    {
      const Turn turn(*this);
      harvest_filled();
      if (Status status = rearm(); !status) reaper_failure_ = std::move(status).failure();
    }
    lock.lock();
  }
}

// ---- in a turn ----

void DirtyRing::harvest(VcpuRing& ring) {
  ring.harvest([this](std::uint32_t slot, std::uint64_t slot_page) {
    const std::uint64_t page = block_page(slot, slot_page);
    harvested_.push_back(page);
    if (page == kNoPage) return;
    set(pending_, page);
    unwatched_[page / 64] &= ~(std::uint64_t{1} << page % 64);
  });
}

void DirtyRing::harvest_all() {
  for (const auto& ring : rings_) harvest(*ring);
}

void DirtyRing::harvest_filled() {
  for (const auto& ring : rings_) {
    if (ring->holds(filled_)) harvest(*ring);
  }
}

std::uint64_t DirtyRing::block_page(std::uint32_t slot, std::uint64_t page) const {
  // Bits 16 and up are an address space; we give slots to the first only, and so have them all in slots().
  if (slot >= vm_->slots().size()) return kNoPage;
  const MemorySlot& memory = vm_->slots()[slot];
  return page < memory.size / kPageSize ? memory.offset / kPageSize + page : kNoPage;
}

/// Has KVM watch the pages of all harvested entries again. When it returns, it does.
Status DirtyRing::rearm() {
  constexpr unsigned kMaxResets = 1000;
  const SignalsBlocked blocked;
  const std::size_t expected = harvested_.size();
  std::size_t done = 0;
  Status status = success();
  for (unsigned resets = 0; done < expected && resets < kMaxResets && status; ++resets) {
    const int count = kvm_ioctl(vm_->fd(), KVM_RESET_DIRTY_RINGS);
    if (count < 0) status = Failure::from_errno("KVM_RESET_DIRTY_RINGS", "KVM cannot empty the dirty rings");
    done = std::min(expected, done + static_cast<std::size_t>(std::max(0, count)));
    rewatch_last_batch(done);
  }
  harvested_.clear();
  if (done == expected || !status) return status;
  return Failure{EIO, "KVM_RESET_DIRTY_RINGS",
                 "KVM has emptied only " + std::to_string(done) + " of " + std::to_string(expected) +
                     " entries of the dirty rings"};
}

/// Since Linux 6.17 a pending signal makes KVM break off (kvm_dirty_ring_reset). It has freed the entries of a batch of
/// pages then but does not watch them, and nothing tells of it when that batch was the last. Signals are blocked; but
/// SIGSTOP, a debugger and a freezer cannot be. So the last batch before `end`, which is no more than the entries up to
/// there that lie within 64 pages, is always unmapped: a page is watched when it is mapped again.
void DirtyRing::rewatch_last_batch(std::size_t end) {
  std::uint64_t first = kNoPage;
  std::uint64_t last = 0;
  std::size_t begin = end;
  for (; begin > 0 && harvested_[begin - 1] != kNoPage; --begin) {
    const std::uint64_t page = harvested_[begin - 1];
    if (std::max(last, page) - std::min(first, page) >= 64) break;
    first = std::min(first, page);
    last = std::max(last, page);
  }
  if (begin == end || vm_->unmap(first, last)) return;
  for (; begin < end; ++begin) set(unwatched_, harvested_[begin]);
}

}  // namespace godwit
