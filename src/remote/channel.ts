// Where the bytes of a connection come from and go to: a socket, a pipe, or two ends in one process.

/** What happens on a channel. */
export interface ChannelEvents {
  /** Bytes have come; they are the receiver's to keep. */
  received(bytes: Uint8Array): void;
  /** What was unsent has gone. */
  drained(): void;
  /** The other side is gone, or this one has ended the channel. Called once, and nothing after it. */
  ended(error?: Error): void;
}

/** Bytes in both directions, in order and without loss until it ends. */
export interface ByteChannel {
  /** Begins to deliver. Called once. */
  open(events: ChannelEvents): void;
  /** Takes bytes, which must not change afterwards. Without effect when the channel has ended. */
  send(bytes: Uint8Array): void;
  /** Bytes taken and not gone: they become more while the other side does not read. */
  readonly unsent: number;
  /** Lets the other side wait: nothing is received until `resume`. */
  pause(): void;
  resume(): void;
  /** Ends the channel when everything taken has gone. */
  end(): void;
  /** Ends it at once. */
  destroy(): void;
}

/** Two ends in one process: what goes into one comes out of the other. */
export function channelPair(): [ByteChannel, ByteChannel] {
  const left = new LocalEnd();
  const right = new LocalEnd();
  left.other = right;
  right.other = left;
  return [left, right];
}

class LocalEnd implements ByteChannel {
  other!: LocalEnd;
  unsent = 0;
  #events: ChannelEvents | undefined;
  #paused = false;
  #isEnded = false;
  #isEnding = false;
  readonly #waiting: Uint8Array[] = [];

  open(events: ChannelEvents): void {
    this.#events = events;
    this.#deliver();
  }

  send(bytes: Uint8Array): void {
    if (this.#isEnded || this.#isEnding) return;
    this.unsent += bytes.length;
    this.other.#waiting.push(bytes.slice());
    queueMicrotask(() => this.other.#deliver());
  }

  #deliver(): void {
    while (this.#events && !this.#paused && !this.#isEnded) {
      const bytes = this.#waiting.shift();
      if (!bytes) break;
      this.other.unsent -= bytes.length;
      this.#events.received(bytes);
      if (this.other.unsent === 0 && !this.other.#isEnded) this.other.#events?.drained();
    }
    if (this.#waiting.length === 0 && this.other.#isEnding) this.other.destroy();
  }

  pause(): void {
    this.#paused = true;
  }

  resume(): void {
    this.#paused = false;
    queueMicrotask(() => this.#deliver());
  }

  end(): void {
    this.#isEnding = true;
    queueMicrotask(() => this.other.#deliver());
  }

  destroy(): void {
    for (const end of [this, this.other]) {
      if (end.#isEnded) continue;
      end.#isEnded = true;
      queueMicrotask(() => end.#events?.ended());
    }
  }
}
