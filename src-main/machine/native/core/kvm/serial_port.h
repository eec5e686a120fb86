// SPDX-License-Identifier: Apache-2.0
// A 16550A UART that transmits: what is written to it goes to a SerialOutput at once. There is no interrupt line and
// nothing is received.
#pragma once

#include <cstdint>
#include <mutex>

namespace godwit {

class SerialOutput;

/// The registers, under the names that the migration stream uses for them.
struct SerialState {
  std::uint16_t divider = 12;  // 115200 baud divided by 12: 9600
  std::uint8_t rbr = 0;
  std::uint8_t ier = 0;
  std::uint8_t iir = 0x01;  // no interrupt pending
  std::uint8_t lcr = 0;
  std::uint8_t mcr = 0x08;  // OUT2
  std::uint8_t lsr = 0x60;  // transmitter and its holding register empty
  std::uint8_t msr = 0xb0;  // carrier, data set ready, clear to send
  std::uint8_t scr = 0;
  std::uint8_t fcr = 0;
};

class SerialPort {
 public:
  explicit SerialPort(SerialOutput& output) : output_(output) {}

  /// Any vCPU thread. `reg` is the port's offset, 0 to 7.
  void write(unsigned reg, std::uint8_t value);
  std::uint8_t read(unsigned reg);

  /// Any thread.
  SerialState state() const;
  void set_state(const SerialState& state);

 private:
  SerialOutput& output_;
  mutable std::mutex mutex_;
  SerialState state_;
};

}  // namespace godwit
