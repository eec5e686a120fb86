// SPDX-License-Identifier: Apache-2.0
#include "core/kvm/vcpu.h"

#include <pthread.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <utility>

#include "core/kvm/cpuid.h"
#include "core/kvm/kick.h"
#include "core/kvm/kvm_system.h"
#include "core/kvm/time_slice.h"

namespace godwit {

Result<std::unique_ptr<Vcpu>> Vcpu::create(VcpuConfig config, const std::vector<kvm_cpuid_entry2>& cpuid) {
  const std::string what = "cannot create vCPU " + std::to_string(config.index);
  UniqueFd fd(kvm_ioctl(config.vm_fd, KVM_CREATE_VCPU, config.index));
  if (!fd) return Failure::from_errno("KVM_CREATE_VCPU", what);
  if (Status status = set_cpuid(fd.get(), with_apic_id(cpuid, config.index)); !status) return status.failure();
  void* const address = ::mmap(nullptr, config.mmap_size, PROT_READ | PROT_WRITE, MAP_SHARED, fd.get(), 0);
  if (address == MAP_FAILED) return Failure::from_errno("mmap", what);
  Mapping run(address, config.mmap_size);
  install_kick_handler();
  return std::unique_ptr<Vcpu>(new Vcpu(std::move(config), std::move(fd), std::move(run)));
}

Vcpu::Vcpu(VcpuConfig config, UniqueFd fd, Mapping run)
    : config_(std::move(config)),
      fd_(std::move(fd)),
      run_mapping_(std::move(run)),
      run_(reinterpret_cast<kvm_run*>(run_mapping_.data())),
      pacer_(config_.pace_interval_ns) {
  thread_ = std::thread([this] { thread_main(); });
  std::unique_lock lock(mutex_);
  parked_.wait(lock, [this] { return thread_id_ != 0; });
}

// ---- called from other threads ----

void Vcpu::start() {
  std::lock_guard lock(mutex_);
  if (running_ || crashed_ || closing_) return;
  set_immediate_exit(false);
  want_run_ = true;
  running_ = true;
  wake_.notify_all();
}

void Vcpu::request_stop() {
  std::lock_guard lock(mutex_);
  if (!want_run_) return;
  want_run_ = false;
  // In this order: a thread that is about to enter the guest either sees the flag or gets the signal inside KVM_RUN.
  set_immediate_exit(true);
  kick(thread_.native_handle());
  wake_.notify_all();
}

void Vcpu::request_exit() {
  std::lock_guard lock(mutex_);
  exit_wanted_.store(true);
  if (!in_guest_.load()) {
    exit_wanted_.store(false);
    return;
  }
  // As in request_stop(). The thread exists: it has to take the lock before it can end.
  set_immediate_exit(true);
  kick(thread_.native_handle());
}

void Vcpu::wait_exited() {
  std::unique_lock lock(mutex_);
  parked_.wait(lock, [this] { return !exit_wanted_.load(); });
}

void Vcpu::post(Job job) {
  {
    std::lock_guard lock(mutex_);
    if (!closing_) {
      jobs_.push_back(std::move(job));
      wake_.notify_all();
      return;
    }
  }
  job = nullptr;  // too late: what the job holds is released outside the lock
}

void Vcpu::wait_parked() {
  std::unique_lock lock(mutex_);
  parked_.wait(lock, [this] { return !running_; });
}

void Vcpu::close() {
  request_stop();
  {
    std::lock_guard lock(mutex_);
    closing_ = true;
    wake_.notify_all();
  }
  if (thread_.joinable()) thread_.join();
}

bool Vcpu::crashed() const {
  std::lock_guard lock(mutex_);
  return crashed_;
}

pid_t Vcpu::thread_id() const {
  std::lock_guard lock(mutex_);
  return thread_id_;
}

bool Vcpu::stop_requested() const {
  std::lock_guard lock(mutex_);
  return !want_run_;
}

void Vcpu::set_immediate_exit(bool value) {
  // The kernel and two threads read and write this byte.
  __atomic_store_n(&run_->immediate_exit, value ? 1 : 0, __ATOMIC_SEQ_CST);
}

// ---- the vCPU's thread ----

void Vcpu::thread_main() {
  ::pthread_setname_np(::pthread_self(), ("vcpu" + std::to_string(config_.index)).c_str());
  accept_kicks();
  prefer_short_time_slices();
  ::prctl(PR_SET_TIMERSLACK, 1UL);  // the default of 50 µs would slow down a paced guest
  std::unique_lock lock(mutex_);
  thread_id_ = ::gettid();
  parked_.notify_all();
  for (;;) {
    wake_.wait(lock, [this] { return running_ || closing_ || !jobs_.empty(); });
    if (!jobs_.empty()) {
      Job job = std::move(jobs_.front());
      jobs_.pop_front();
      lock.unlock();
      job();
      job = nullptr;
      lock.lock();
    } else if (running_) {
      lock.unlock();
      run_until_stopped();
      lock.lock();
      running_ = false;
      parked_.notify_all();
    } else {
      return;
    }
  }
}

void Vcpu::run_until_stopped() {
  pacer_.restart();
  Next next = halted_ ? Next::kIdle : Next::kGoOn;
  while (next != Next::kCrash && !stop_requested()) {
    if (next == Next::kIdle) {
      idle();
    } else {
      next = enter();
    }
  }
  if (next != Next::kCrash) {
    finish_io();
    return;
  }
  {
    std::lock_guard lock(mutex_);
    crashed_ = true;
    want_run_ = false;
  }
  config_.on_crash(crash_);
}

// ---- state ----

Result<VcpuState> Vcpu::read_state(std::span<const std::uint32_t> msr_indices) const {
  Result<VcpuState> state = read_vcpu_state({fd_.get(), config_.xsave_size, config_.tsc_control}, msr_indices);
  // KVM knows no halted vCPU without an in-kernel irqchip: this one is kept here.
  if (state && halted_) state->mp_state = KVM_MP_STATE_HALTED;
  return state;
}

Result<std::vector<std::uint32_t>> Vcpu::write_state(const VcpuState& state) {
  VcpuState ours = state;
  const bool halted = state.mp_state == KVM_MP_STATE_HALTED;
  if (halted) ours.mp_state = KVM_MP_STATE_RUNNABLE;
  Result<std::vector<std::uint32_t>> refused =
      write_vcpu_state({fd_.get(), config_.xsave_size, config_.tsc_control}, ours);
  if (!refused) return refused;
  halted_ = halted;
  std::lock_guard lock(mutex_);
  crashed_ = false;
  return refused;
}

}  // namespace godwit
