// SPDX-License-Identifier: Apache-2.0
#include "core/kvm/serial_port.h"

#include "core/kvm/serial_output.h"

namespace godwit {
namespace {

constexpr std::uint8_t kLcrDlab = 0x80;       // registers 0 and 1 are the divider
constexpr std::uint8_t kIerBits = 0x0f;
constexpr std::uint8_t kMcrBits = 0x1f;
constexpr std::uint8_t kLsrDataReady = 0x01;
constexpr std::uint8_t kFcrEnable = 0x01;
constexpr std::uint8_t kFcrStoredBits = 0xc9;  // enable, DMA mode, trigger level; the reset bits clear themselves
constexpr std::uint8_t kIirFifoEnabled = 0xc0;

}  // namespace

void SerialPort::write(unsigned reg, std::uint8_t value) {
  bool transmit = false;
  {
    std::lock_guard lock(mutex_);
    const bool dlab = (state_.lcr & kLcrDlab) != 0;
    switch (reg) {
      case 0:
        if (dlab) state_.divider = static_cast<std::uint16_t>((state_.divider & 0xff00) | value);
        transmit = !dlab;
        break;
      case 1:
        if (dlab) {
          state_.divider = static_cast<std::uint16_t>((state_.divider & 0x00ff) | value << 8);
        } else {
          state_.ier = value & kIerBits;
        }
        break;
      case 2:
        state_.fcr = value & kFcrStoredBits;
        state_.iir = static_cast<std::uint8_t>((state_.iir & ~kIirFifoEnabled) |
                                               ((value & kFcrEnable) != 0 ? kIirFifoEnabled : 0));
        break;
      case 3:
        state_.lcr = value;
        break;
      case 4:
        state_.mcr = value & kMcrBits;
        break;
      case 7:
        state_.scr = value;
        break;
      default:  // line and modem status are read-only
        break;
    }
  }
  if (transmit) output_.put(value);
}

std::uint8_t SerialPort::read(unsigned reg) {
  std::lock_guard lock(mutex_);
  const bool dlab = (state_.lcr & kLcrDlab) != 0;
  switch (reg) {
    case 0:
      if (dlab) return static_cast<std::uint8_t>(state_.divider);
      state_.lsr &= static_cast<std::uint8_t>(~kLsrDataReady);
      return state_.rbr;
    case 1:
      return dlab ? static_cast<std::uint8_t>(state_.divider >> 8) : state_.ier;
    case 2:
      return state_.iir;
    case 3:
      return state_.lcr;
    case 4:
      return state_.mcr;
    case 5:
      return state_.lsr;
    case 6:
      return state_.msr;
    default:
      return state_.scr;
  }
}

SerialState SerialPort::state() const {
  std::lock_guard lock(mutex_);
  return state_;
}

void SerialPort::set_state(const SerialState& state) {
  std::lock_guard lock(mutex_);
  state_ = state;
}

}  // namespace godwit
