// What programs send to user space and the other way: ring buffers, and the buffers of perf events. Linux shares their
// memory (mmap(2)); a kernel may be elsewhere, so here are commands.

import type { Fd } from './fd.js';

/** What a perf buffer holds: a sample, or how many samples found no room since the record before. */
export type PerfRecord =
  /** `time`: nanoseconds of the kernel's clock, in a buffer that was opened with times. */
  | { data: Uint8Array; time?: bigint }
  /** `id`: the perf event's, in such a buffer too. */
  | { lost: number; id?: bigint };

export interface PerfBufferOptions {
  /** Records say when they were sent, and take 8 bytes more. */
  times?: boolean;
}

export interface BufferCommands {
  /** Takes the records of a ring buffer that are complete, the oldest first; discarded ones are left out. */
  ringbufConsume(map: Fd): Promise<Uint8Array[]>;
  /** Puts a record into a user ring buffer. ENOSPC when there is no room now, E2BIG when there never is. */
  ringbufProduce(map: Fd, record: Uint8Array): Promise<void>;
  /**
   * A buffer of `size` bytes, a power of two of pages, for what programs on a CPU send: an enabled perf event of type
   * PERF_COUNT_SW_BPF_OUTPUT, to be put into a perf event array at the CPU's number.
   */
  perfBufferOpen(cpu: number, size: number, options?: PerfBufferOptions): Promise<Fd>;
  /**
   * Takes the records of a perf buffer, the oldest first. The kernel pads samples: four bytes more than they have are a
   * multiple of eight.
   */
  perfBufferConsume(buffer: Fd): Promise<PerfRecord[]>;
  /**
   * Waits until one of these ring buffers and perf buffers has something to take, at most `timeout` milliseconds; those
   * that have. What a program submits with BPF_RB_NO_WAKEUP is seen when the time is over.
   */
  poll(fds: readonly Fd[], timeout: number): Promise<Fd[]>;
}
