// A progress bar on standard error, for a person who waits: only on a terminal, and only once a run has lasted a while.

import type { SingleBar } from 'cli-progress';
import type { ByteSource } from '../node/capture.js';
import { grouped, size } from './text.js';

/** Milliseconds before the bar appears. */
const PATIENCE = 500;

export class Progress {
  readonly #source: ByteSource;
  readonly #enabled = process.stderr.isTTY === true;
  readonly #started = performance.now();
  #bar: SingleBar | undefined;

  constructor(source: ByteSource) {
    this.#source = source;
  }

  /** Shows how far the run is; cheap enough for every block of packets. */
  async update(packets: number): Promise<void> {
    if (!this.#enabled) return;
    const { position, size: total } = this.#source;
    if (this.#bar === undefined) {
      if (performance.now() - this.#started < PATIENCE) return;
      const { default: progress } = await import('cli-progress');
      const format =
        total === undefined ? '  {read}, {packets} packets' : '  {bar} {percentage} %, {packets} packets';
      this.#bar = new progress.SingleBar(
        { format, stream: process.stderr, hideCursor: true, clearOnComplete: true },
        progress.Presets.shades_classic,
      );
      this.#bar.start(total ?? 1, 0, { packets: '0', read: '' });
    }
    this.#bar.update(total === undefined ? 0 : position, { packets: grouped(packets), read: size(position) });
  }

  /** Takes the bar off the screen. */
  stop(): void {
    this.#bar?.stop();
    this.#bar = undefined;
  }
}
