// Clocks in nanoseconds. The host has one steady clock, the time since the emulated kernel started; that
// machine is never suspended, so its boot clock shows the same.

@external('host', 'now')
declare function now(): f64;

/** Timer interrupts in a second (CONFIG_HZ), and the nanoseconds between two. */
const HZ: u64 = 250;
const TICK: u64 = 1000000000 / HZ;
/** Linux's jiffies start five minutes before the 32-bit counter wraps (INITIAL_JIFFIES). */
const INITIAL_JIFFIES: u64 = (-300 * (HZ as i32)) as u32;

export function bpf_ktime_get_ns(cpu: usize): u64 {
  return now() as u64;
}

export function bpf_ktime_get_boot_ns(cpu: usize): u64 {
  return now() as u64;
}

/** The time of the last timer interrupt. */
export function bpf_ktime_get_coarse_ns(cpu: usize): u64 {
  const ns = now() as u64;
  return ns - ns % TICK;
}

export function bpf_jiffies64(cpu: usize): u64 {
  return INITIAL_JIFFIES + (now() as u64) / TICK;
}
